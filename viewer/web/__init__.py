"""The parts of the page server: who gets in, what a page is sent, and the answers to other programs."""
