"""From decisions and events to outcomes: what events are worth (``rewards``), what happened (``join``)."""
