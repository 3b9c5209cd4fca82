"""A Transformer from sequence to sequence (Vaswani et al. 2017), with padding and causal masks."""

import math

import torch
import torch.nn as nn

PAD = 0


class PositionalEncoding(nn.Module):
    def __init__(self, emb_size, maxlen=32):
        super().__init__()
        den = torch.exp(-torch.arange(0, emb_size, 2) * math.log(10000) / emb_size)
        pos = torch.arange(0, maxlen).reshape(maxlen, 1)
        pos_embedding = torch.zeros((maxlen, emb_size))
        pos_embedding[:, 0::2] = torch.sin(pos * den)
        pos_embedding[:, 1::2] = torch.cos(pos * den)
        self.register_buffer("pos_embedding", pos_embedding.unsqueeze(-2))

    def forward(self, token_embedding):
        return token_embedding + self.pos_embedding[: token_embedding.size(0), :]


class Seq2SeqTransformer(nn.Module):
    def __init__(self, emb_size=16, vocab=11):
        super().__init__()
        self.emb_size = emb_size
        self.transformer = nn.Transformer(
            d_model=emb_size,
            nhead=2,
            num_encoder_layers=2,
            num_decoder_layers=2,
            dim_feedforward=24,
            dropout=0.0,
        )
        self.generator = nn.Linear(emb_size, vocab)
        self.src_tok_emb = nn.Embedding(vocab, emb_size, padding_idx=PAD)
        self.tgt_tok_emb = nn.Embedding(vocab, emb_size, padding_idx=PAD)
        self.positional_encoding = PositionalEncoding(emb_size)

    def embed(self, table, tokens):
        return self.positional_encoding(table(tokens.long()) * math.sqrt(self.emb_size))

    def forward(self, src, tgt):
        tgt_mask = torch.triu(torch.ones(tgt.shape[0], tgt.shape[0]), diagonal=1).bool()
        src_padding = (src == PAD).transpose(0, 1)
        outs = self.transformer(
            self.embed(self.src_tok_emb, src),
            self.embed(self.tgt_tok_emb, tgt),
            tgt_mask=tgt_mask,
            src_key_padding_mask=src_padding,
            tgt_key_padding_mask=(tgt == PAD).transpose(0, 1),
            memory_key_padding_mask=src_padding,
        )
        return self.generator(outs)


def build():
    model = Seq2SeqTransformer()
    for p in model.parameters():
        if p.dim() > 1:
            nn.init.xavier_uniform_(p)
    return model


def batches(rng, steps=30):
    found = []
    for _ in range(steps):
        src, tgt = rng.integers(1, 11, (6, 4)), rng.integers(1, 11, (7, 4))
        src[4:, 0] = src[5:, 2] = tgt[5:, 1] = PAD
        found.append((src, tgt))
    return found


def train(model, batches):
    loss_fn = torch.nn.CrossEntropyLoss(ignore_index=PAD)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.5, betas=(0.9, 0.98), eps=1e-9)
    # The schedule of the paper.
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda n: 16**-0.5 * min((n + 1) ** -0.5, (n + 1) * 400**-1.5)
    )
    losses = []
    for src, tgt in batches:
        src, tgt = torch.from_numpy(src), torch.from_numpy(tgt)
        logits = model(src, tgt[:-1, :])
        optimizer.zero_grad()
        loss = loss_fn(logits.reshape(-1, logits.shape[-1]), tgt[1:, :].reshape(-1))
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    return losses
