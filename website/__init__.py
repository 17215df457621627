"""What `make docs` adds to the pages of docs/: pages that are made from the code, anchors, and what draws diagrams."""
