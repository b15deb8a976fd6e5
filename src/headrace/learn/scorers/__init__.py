"""River models scored as arrays, many events in one pass, with the answers that river gives."""
