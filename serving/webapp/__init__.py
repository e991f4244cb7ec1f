"""The page's application: its requests and who may send them."""
