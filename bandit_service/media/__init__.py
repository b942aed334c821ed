"""Pictures that editors upload: checked, drawn anew, kept under the name of what they hold.

``pictures`` makes of what came a picture and a small one, ``foreign`` says what else it is,
``blobs`` keeps bytes, in a folder or in object storage, and ``store`` puts it together.
``stand_ins`` draws pictures in the place of those that are nowhere.
"""
