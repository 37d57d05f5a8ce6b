"""Charts on one self-contained page: blocks of data in, one HTML file out, drawn by plotly where a plot is needed."""
