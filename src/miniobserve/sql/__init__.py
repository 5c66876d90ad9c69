"""SQL databases behind one small protocol: what they must do, two drivers, and the choice between them."""
