"""`redraft bench gpu`: what a denoising step takes on a GPU, beside what the machine allows and beside others."""
