"""What a model needs and gives on given GPUs, and which GPUs a load needs: arithmetic before the first start."""
