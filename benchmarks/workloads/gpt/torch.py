"""The transformer in PyTorch's words; `torch` is PyTorch or jtoolbox."""

from benchmarks.workloads.gpt import HEADS, LAYERS, LENGTH, VOCABULARY, WIDTH


def build(torch, p=0.0):
    nn, F = torch.nn, torch.nn.functional

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1 = nn.LayerNorm(WIDTH)
            self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
            self.out = nn.Linear(WIDTH, WIDTH)
            self.norm2 = nn.LayerNorm(WIDTH)
            self.up = nn.Linear(WIDTH, 4 * WIDTH)
            self.down = nn.Linear(4 * WIDTH, WIDTH)
            self.dropout = nn.Dropout(p)

        def attention(self, x):
            N, T, C = x.shape
            q, k, v = self.qkv(x).split(WIDTH, dim=2)
            q, k, v = (y.view(N, T, HEADS, C // HEADS).transpose(1, 2) for y in (q, k, v))
            rate = p if self.training else 0.0
            y = F.scaled_dot_product_attention(q, k, v, dropout_p=rate, is_causal=True)
            return self.out(y.transpose(1, 2).reshape(N, T, C))

        def forward(self, x):
            x = x + self.dropout(self.attention(self.norm1(x)))
            return x + self.dropout(self.down(F.gelu(self.up(self.norm2(x)))))

    class GPT(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens = nn.Embedding(VOCABULARY, WIDTH)
            self.positions = nn.Embedding(LENGTH, WIDTH)
            self.dropout = nn.Dropout(p)
            self.blocks = nn.ModuleList([Block() for _ in range(LAYERS)])
            self.norm = nn.LayerNorm(WIDTH)
            self.head = nn.Linear(WIDTH, VOCABULARY, bias=False)

        def forward(self, tokens):
            positions = torch.arange(tokens.shape[1], device=tokens.device)
            x = self.dropout(self.tokens(tokens) + self.positions(positions))
            for block in self.blocks:
                x = block(x)
            return self.head(self.norm(x))

    return GPT()


def loss(torch, model, tokens, targets):
    logits = model(tokens)
    return torch.nn.functional.cross_entropy(logits.view(-1, VOCABULARY), targets.view(-1))
