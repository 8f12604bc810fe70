{
  "variables": {
    # What src/toolchain/variant.ts asks for: also the program `replay`, or `fuzz`; what the compiler shall have checked
    # while the code runs, such as address,undefined.
    "seqgrad_replay%": 0,
    "seqgrad_fuzz%": 0,
    "seqgrad_sanitize%": "",
    "executor": ["native/executor.cc", "native/huge-pages.cc", "native/team.cc", "native/pool.cc", "native/isa/isa.cc"],
    # Compiled once for each ISA: see native/kernels/kernel.h.
    "families": [
      "native/kernels/attention.cc", "native/kernels/attention-backward.cc", "native/kernels/copy.cc",
      "native/kernels/cross-entropy.cc", "native/kernels/elementwise.cc", "native/kernels/embedding.cc",
      "native/kernels/gru.cc", "native/kernels/layer-norm.cc", "native/kernels/lstm.cc", "native/kernels/matmul.cc",
      "native/kernels/optimizer.cc", "native/kernels/projected-lstm.cc", "native/kernels/random.cc",
      "native/kernels/reduce.cc", "native/kernels/rnn.cc", "native/kernels/sequence.cc"
    ],
    "conditions": [
      ["target_arch=='x64'", {"kernels": ["kernels_sse2", "kernels_avx2", "kernels_avx512"]}],
      ["target_arch=='arm64'", {"kernels": ["kernels_neon"]}],
      ["target_arch!='x64' and target_arch!='arm64'", {"kernels": []}]
    ]
  },
  "target_defaults": {
    "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
    "defines": ["NAPI_VERSION=8", "NAPI_DISABLE_CPP_EXCEPTIONS", "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"],
    # Only S::fma may fuse a multiplication with an addition.
    "cflags": ["-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fvisibility=hidden", "-Wall", "-Wextra"],
    "cflags!": ["-fno-omit-frame-pointer"],
    "cflags_cc": ["-std=c++17"],
    "cflags_cc!": ["-std=gnu++17", "-std=gnu++20"],
    # The same for macOS, where gyp takes no cflags.
    "xcode_settings": {
      "OTHER_CFLAGS": ["-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-Wall", "-Wextra"],
      "CLANG_CXX_LANGUAGE_STANDARD": "c++17",
      "GCC_SYMBOLS_PRIVATE_EXTERN": "YES",
      "GCC_ENABLE_CPP_EXCEPTIONS": "YES",
      "MACOSX_DEPLOYMENT_TARGET": "11.0"
    },
    "conditions": [
      ["seqgrad_sanitize!=''", {
        "cflags": ["-O1", "-g1", "-fno-omit-frame-pointer", "-fno-sanitize-recover=all"],
        # An addon that is loaded again stays where it was: ThreadSanitizer takes what it finds there for the one before.
        "ldflags": ["-fsanitize=<(seqgrad_sanitize)", "-Wl,-z,nodelete"],
        "conditions": [
          ["seqgrad_fuzz==1", {
            # Checks as calls: in line, clang takes four times as long for the kernels.
            "cflags": ["-fsanitize=fuzzer-no-link,<(seqgrad_sanitize)", "-mllvm", "-asan-instrumentation-with-call-threshold=0"]
          }, {
            "cflags": ["-fsanitize=<(seqgrad_sanitize)"]
          }],
          # As above, for GCC.
          ["seqgrad_fuzz==0 and 'address' in seqgrad_sanitize", {
            "cflags": ["--param", "asan-instrumentation-with-call-threshold=0"]
          }]
        ]
      }]
    ]
  },
  "conditions": [
    ["target_arch=='x64'", {
      "targets": [
        {
          "target_name": "kernels_sse2",
          "type": "static_library",
          "sources": ["native/isa/sse2.cc", "<@(families)"],
          "defines": ["SEQGRAD_SSE2"],
          # Without it the compiler prefetches what will be written as if it were read. No processor of x86-64 refuses the instruction.
          "cflags": ["-mprfchw"],
          "xcode_settings": {"OTHER_CFLAGS": ["-mprfchw"]}
        },
        {
          "target_name": "kernels_avx2",
          "type": "static_library",
          "sources": ["native/isa/avx2.cc", "<@(families)"],
          "defines": ["SEQGRAD_AVX2"],
          "cflags": ["-mavx2", "-mfma", "-mprfchw"],
          # The same source as for sse2, in which undefined behaviour is looked for: the compiler takes twice as long with it.
          "conditions": [["seqgrad_sanitize!=''", {"cflags": ["-fno-sanitize=undefined"]}]],
          "xcode_settings": {"OTHER_CFLAGS": ["-mavx2", "-mfma", "-mprfchw"]}
        },
        {
          "target_name": "kernels_avx512",
          "type": "static_library",
          "sources": ["native/isa/avx512.cc", "<@(families)"],
          "defines": ["SEQGRAD_AVX512"],
          "cflags": ["-mavx512f", "-mavx512vl", "-mavx512dq", "-mavx512bw", "-mavx512bf16", "-mfma", "-mprfchw", "-mprefer-vector-width=512",
            # GCC 12 warns about its own header.
            "-Wno-maybe-uninitialized"],
          "conditions": [["seqgrad_sanitize!=''", {"cflags": ["-fno-sanitize=undefined"]}]],
          "xcode_settings": {
            "OTHER_CFLAGS": ["-mavx512f", "-mavx512vl", "-mavx512dq", "-mavx512bw", "-mavx512bf16", "-mfma", "-mprfchw", "-mprefer-vector-width=512"]
          }
        }
      ]
    }],
    ["target_arch=='arm64'", {
      "targets": [
        {
          "target_name": "kernels_neon",
          "type": "static_library",
          "sources": ["native/isa/neon.cc", "<@(families)"],
          "defines": ["SEQGRAD_NEON"]
        }
      ]
    }],
    ["seqgrad_replay==1", {
      "targets": [
        {
          "target_name": "replay",
          "type": "executable",
          "sources": ["native/replay.cc", "<@(executor)"],
          "cflags_cc!": ["-fno-exceptions"],
          "dependencies": ["<@(kernels)"]
        }
      ]
    }],
    ["seqgrad_fuzz==1", {
      "targets": [
        {
          "target_name": "fuzz",
          "type": "executable",
          "sources": ["native/fuzz.cc", "<@(executor)"],
          "cflags": ["-fsanitize=undefined"],
          "cflags_cc!": ["-fno-exceptions"],
          "ldflags": ["-fsanitize=fuzzer,undefined"],
          "dependencies": ["<@(kernels)"]
        }
      ]
    }]
  ],
  "targets": [
    {
      "target_name": "seqgrad",
      "sources": [
        "native/addon.cc", "native/addon/arguments.cc", "native/addon/program.cc", "native/addon/thread.cc",
        "native/barrier.cc", "native/engine-thread.cc", "<@(executor)"
      ],
      # The system's refusal of a thread comes as an exception.
      "cflags_cc!": ["-fno-exceptions"],
      "dependencies": ["<@(kernels)"]
    }
  ]
}
