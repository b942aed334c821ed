"""What a marketing team registers: placements, their variants, and the personas they speak to.

``model`` holds the records and the limits that they keep, ``edit`` turns what an editor sends into
the next revision of a placement, ``personas`` resolves a visitor's traits, ``document`` is the form
in which a whole catalog is imported and exported. Nothing here knows Redis, HTTP or the policy.
"""
