"""BERT in PyTorch, as small as it can be said: parameters have the names, shapes and meaning that Hugging Face gives them."""
import math

import torch
from torch import nn
from torch.nn import functional as F

ACTIVATIONS = {
    "gelu": F.gelu,
    "gelu_new": lambda x: 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "relu": F.relu,
}


class Module(nn.Module):
    """A module of named modules: Module(dense=Linear(…)) has the parameters dense.weight and dense.bias."""

    def __init__(self, /, **modules):
        super().__init__()
        for name, module in modules.items():
            self.add_module(name, module)


class Attention(Module):
    def __init__(self, config):
        C, eps = config["hidden_size"], config["layer_norm_eps"]
        projections = {name: nn.Linear(C, C) for name in ("query", "key", "value")}
        output = Module(dense=nn.Linear(C, C), LayerNorm=nn.LayerNorm(C, eps))
        super().__init__(**{"self": Module(**projections), "output": output})
        self.heads = config["num_attention_heads"]

    def forward(self, x, mask, shown):
        B, T, C = x.shape
        projections = getattr(self, "self")
        split = lambda y: y.view(B, T, self.heads, C // self.heads).transpose(1, 2)
        query, key, value = (split(getattr(projections, name)(x)) for name in ("query", "key", "value"))
        scores = query @ key.transpose(2, 3) / math.sqrt(C // self.heads)
        probs = scores.masked_fill(mask[:, None, None, :] == 0, -math.inf).softmax(dim=3)
        for name, tensor in dict(query=query, key=key, value=value, scores=scores, probs=probs).items():
            tensor.retain_grad()
            shown[name] = tensor
        context = (probs @ value).transpose(1, 2).reshape(B, T, C)
        return self.output.LayerNorm(self.output.dense(context) + x)


class Layer(Module):
    def __init__(self, config):
        C, inner, eps = config["hidden_size"], config["intermediate_size"], config["layer_norm_eps"]
        super().__init__(
            attention=Attention(config),
            intermediate=Module(dense=nn.Linear(C, inner)),
            output=Module(dense=nn.Linear(inner, C), LayerNorm=nn.LayerNorm(C, eps)),
        )
        self.activation = ACTIVATIONS[config["hidden_act"]]

    def forward(self, x, mask, shown):
        x = self.attention(x, mask, shown)
        return self.output.LayerNorm(self.output.dense(self.activation(self.intermediate.dense(x))) + x)


class BertModel(Module):
    def __init__(self, config, pooler=True):
        C, eps = config["hidden_size"], config["layer_norm_eps"]
        embeddings = Module(
            word_embeddings=nn.Embedding(config["vocab_size"], C, padding_idx=config.get("pad_token_id")),
            position_embeddings=nn.Embedding(config["max_position_embeddings"], C),
            token_type_embeddings=nn.Embedding(config["type_vocab_size"], C),
            LayerNorm=nn.LayerNorm(C, eps),
        )
        layers = nn.ModuleList(Layer(config) for _ in range(config["num_hidden_layers"]))
        super().__init__(embeddings=embeddings, encoder=Module(layer=layers))
        if pooler:
            self.pooler = Module(dense=nn.Linear(C, C))

    def forward(self, ids, types, mask, shown):
        embeddings = self.embeddings
        positions = torch.arange(ids.shape[1])
        x = embeddings.word_embeddings(ids) + embeddings.token_type_embeddings(types)
        x = embeddings.LayerNorm(x + embeddings.position_embeddings(positions))
        for index, layer in enumerate(self.encoder.layer):
            x = layer(x, mask, shown.setdefault(f"layer.{index}.attention", {}))
        return x

    def pool(self, hidden):
        return self.pooler.dense(hidden[:, 0]).tanh()


class BertForMaskedLM(Module):
    def __init__(self, config):
        C = config["hidden_size"]
        transform = Module(dense=nn.Linear(C, C), LayerNorm=nn.LayerNorm(C, config["layer_norm_eps"]))
        super().__init__(bert=BertModel(config, pooler=False), cls=Module(predictions=Module(transform=transform)))
        self.cls.predictions.bias = nn.Parameter(torch.randn(config["vocab_size"]))
        self.activation = ACTIVATIONS[config["hidden_act"]]

    def forward(self, *inputs):
        predictions = self.cls.predictions
        transformed = predictions.transform.LayerNorm(self.activation(predictions.transform.dense(self.bert(*inputs))))
        return F.linear(transformed, self.bert.embeddings.word_embeddings.weight, predictions.bias)


class BertForSequenceClassification(Module):
    def __init__(self, config):
        classifier = nn.Linear(config["hidden_size"], len(config["id2label"]))
        super().__init__(bert=BertModel(config), classifier=classifier)

    def forward(self, *inputs):
        return self.classifier(self.bert.pool(self.bert(*inputs)))


class BertForTokenClassification(Module):
    def __init__(self, config):
        classifier = nn.Linear(config["hidden_size"], len(config["id2label"]))
        super().__init__(bert=BertModel(config, pooler=False), classifier=classifier)

    def forward(self, *inputs):
        return self.classifier(self.bert(*inputs))


MODELS = {its.__name__: its for its in (BertModel, BertForMaskedLM, BertForSequenceClassification, BertForTokenClassification)}


def build(config):
    """A model with random parameters that float32 can hold, none of them zero or one as they are when fresh."""
    model = MODELS[config["architectures"][0]](config)
    for name, parameter in model.named_parameters():
        noise = torch.randn_like(parameter) * (0.3 if parameter.dim() == 1 else parameter.shape[1] ** -0.5)
        gain = 1 if name.endswith("LayerNorm.weight") else 0
        parameter.data = (gain + noise).float().to(parameter.dtype)
    return model
