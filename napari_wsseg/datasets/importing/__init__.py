"""How a data set becomes a project: files found, tables read, films decoded."""
