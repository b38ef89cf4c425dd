"""Operations of a denoising step, one file each, with their PyTorch references."""
