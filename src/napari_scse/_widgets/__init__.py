"""The dock widgets: the only package that imports Qt.

`state` and `choices` hold what is known and what can be chosen, without Qt; `jobs` runs long work in a thread;
`forms` and `panel` are small Qt parts; `segment` and `explore` put them together.
"""
