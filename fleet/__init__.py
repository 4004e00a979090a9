"""The whole fleet: its statistics, their Prometheus form, and slots moved to the styles in demand."""
