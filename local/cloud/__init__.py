"""The AWS stand-in: ministack with what this repository needs added to it, for development only."""
