"""wav2vec 2.0 and XLS-R networks: sizes and names of their tensors, fairseq's and Hugging Face's configurations."""
