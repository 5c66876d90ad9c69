"""What a model is: bundle files read strictly, and the canonical SHA that names them."""
