"""The operators' dashboard on Datasette: reads the logs of stations beside their daemons and writes none of them."""
