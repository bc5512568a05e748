"""The networks with every SE variant, measured on the same heads, and the page that says what came out.

`runs` says which runs may stand in one table, `cases` which heads they label, `measuring` fills the table of `scores`.
From that table alone `study` makes comparisons, `gains` sets them against the difference between two seeds,
`conclusions` puts them into words, and `page` lays everything out, with the tables of `sections`.
"""
