"""Where credentials come from: places of the configuration, a real API server, real git servers."""
