"""The catalog as a spreadsheet: one row a variant, as CSV.

``table`` makes cells of bytes, ``columns`` names them, ``cells`` reads and writes what is in them,
``rows`` makes variants of them, ``preview`` says what an import would do, and ``writing`` exports.
Every problem is told at its row and column, and a file with one of them changes nothing.
"""
