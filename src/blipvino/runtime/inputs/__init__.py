"""What callers give: images, questions and prompts, checked and prepared."""
