"""DiffusionGemma as an engine. Its network is not ours: `transformers`' own class runs and decodes it; what is asked,
how a reply is read, and what of it is offered is the same as for every other model that is asked in words."""
