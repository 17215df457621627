"""What is done to rows on their way: each stage takes rows and hands them on in order, a bounded number in hand."""
