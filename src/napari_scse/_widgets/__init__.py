"""The dock widgets: the only package that imports Qt.

`state` and `choices` hold what is known and what can be chosen, without Qt; `jobs` runs long work in a thread;
`forms` and `panel` are small Qt parts. Each dock has a package that puts them together: `segment`, `explore`, `train`
and `numbers`; `doctor` and `demo` are smaller.
"""
