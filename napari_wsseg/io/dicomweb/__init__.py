"""An archive that speaks DICOMweb (PS3.18): ask, fetch, store."""
