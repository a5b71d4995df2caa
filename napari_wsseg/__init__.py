"""Image-level labels on chest radiographs become reviewed pixel masks, in napari."""
