{
  "variables": {
    # node-gyp rebuild -- -Dseqgrad_replay=1 also builds build/Release/replay.
    "seqgrad_replay%": 0,
    "executor": ["native/executor.cc", "native/team.cc", "native/pool.cc", "native/isa/isa.cc"],
    "conditions": [
      ["target_arch=='x64'", {"kernels": ["kernels_sse2", "kernels_avx2", "kernels_avx512"]}, {"kernels": []}]
    ]
  },
  "target_defaults": {
    "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
    "defines": ["NAPI_VERSION=8", "NAPI_DISABLE_CPP_EXCEPTIONS", "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"],
    # Only S::fma may fuse a multiplication with an addition.
    "cflags": ["-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fvisibility=hidden", "-Wall", "-Wextra"],
    "cflags!": ["-fno-omit-frame-pointer"],
    "cflags_cc": ["-std=c++17"],
    "cflags_cc!": ["-std=gnu++17", "-std=gnu++20"]
  },
  "conditions": [
    ["target_arch=='x64'", {
      "targets": [
        {
          "target_name": "kernels_sse2",
          "type": "static_library",
          "sources": ["native/isa/sse2.cc"]
        },
        {
          "target_name": "kernels_avx2",
          "type": "static_library",
          "sources": ["native/isa/avx2.cc"],
          "cflags": ["-mavx2", "-mfma"]
        },
        {
          "target_name": "kernels_avx512",
          "type": "static_library",
          "sources": ["native/isa/avx512.cc"],
          "cflags": ["-mavx512f", "-mavx512vl", "-mavx512dq", "-mavx512bw", "-mfma", "-mprefer-vector-width=512",
            # GCC 12 warns about its own header.
            "-Wno-maybe-uninitialized"]
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
