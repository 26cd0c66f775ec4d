"""Public checkpoints: where to download them, and how to check that they arrived unchanged."""

from protocols.published import Published

PUBLISHED = {
    "xlsr_300m": Published(
        "XLS-R 300M, pre-trained (Babu et al. 2022)",
        "https://dl.fbaipublicfiles.com/fairseq/wav2vec/xlsr2_300m.pt",
        "xlsr2_300m.pt",
        3_808_868_242,
        "b08927597f2c9eb2ebd7dcc3ac78ee4b5f6021cbac4b3a6c5a9deec445d80ed9",
    ),
    "wav2vec_small": Published(
        "wav2vec 2.0 Base, pre-trained on LibriSpeech (Baevski et al. 2020)",
        "https://dl.fbaipublicfiles.com/fairseq/wav2vec/wav2vec_small.pt",
        "wav2vec_small.pt",
    ),
    # The authors' own link is a Google Drive folder (13vw_AX1jHdYndRu1edlgpdNJpCX8OnrH); this is the same file elsewhere.
    "sls": Published(
        "XLS-R + SLS, the authors' model (Zhang, Wen, Hu 2024)",
        "https://huggingface.co/SpeechAntiSpoofingBenchmarks/XLSR-SLS/resolve/7018a8128258fee17b1f8631f8f1fcbaf71d53c3/MMpaper_model.pth",
        "MMpaper_model.pth",
        sha256="0d315184aa8e6f017ea72c4d2458c11bae8f07fd743fe860a3aa932e36135fa6",
    ),
    "sls_reproduction_v1": Published(
        "XLS-R + SLS, Sukhdeve's reproduction, stopped on the training loss",
        "https://huggingface.co/sukhdeveyash/XLS-R-SLS-Deepfake-Detection/resolve/main/v1/epoch_2.pth",
        "sls_reproduction_v1.pth",
    ),
    "sls_reproduction_v2": Published(
        "XLS-R + SLS, Sukhdeve's reproduction, stopped on the validation loss",
        "https://huggingface.co/sukhdeveyash/XLS-R-SLS-Deepfake-Detection/resolve/main/v2/epoch_16.pth",
        "sls_reproduction_v2.pth",
    ),
    # The authors' own link is a Google Drive folder (1c4ywztEVlYVijfwbGLl9OEa1SNtFKppB); this is the same file elsewhere.
    "ssl_antispoofing_la": Published(
        "XLS-R + AASIST for ASVspoof 2021 LA (Tak et al. 2022)",
        "https://huggingface.co/SpeechAntiSpoofingBenchmarks/W2V2-AASIST/resolve/196128e5a5101d5cb6ac7701597891bc7de7e7b5/LA_model.pth",
        "LA_model.pth",
        1_271_633_441,
        "bd6f36097259fe54e7004eb983651e5304d807be81156dbd04faccb70d91e10c",
    ),
    "ssl_antispoofing_df": Published(
        "XLS-R + AASIST for ASVspoof 2021 DF (Tak et al. 2022)",
        "https://drive.usercontent.google.com/download?id=1JHBClArVdM-Cr1b8In1iakTV_TvC3HvG&export=download&confirm=t",
        "Best_LA_model_for_DF.pth",
        1_271_642_081,
        "1cf904f1d84c867c278cd42161df5367939d61cc28bfefd239bc995af59c2804",
    ),
}

# Checkpoints of which no address of the file itself is certain, and the pages of their authors.
PAGES = {
    "aasist": ("AASIST and AASIST-L, the authors' models (Jung et al. 2022)", "https://github.com/clovaai/aasist"),
    "xlsr_mamba": ("XLSR-Mamba, the authors' models (Xiao, Das 2025)", "https://github.com/swagshaw/XLSR-Mamba"),
}
