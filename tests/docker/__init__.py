"""Tests of docker/; a package, so that the library of that name is not taken for it."""
