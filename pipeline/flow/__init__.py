"""Rules about frames on their way: windows, order, resends, placement, rates. Pure: no clock, no network, no thread."""
