import * as libc from "../host/libc/mod.ts";
import { carriedLibraries } from "./carried.ts";
import { messageTaker } from "./messages.ts";

const symbols = {
  libbpf_version_string: { parameters: [], result: "pointer" },
  libbpf_strerror: { parameters: ["i32", "buffer", "usize"], result: "i32" },
  libbpf_set_print: { parameters: ["function"], result: "pointer" },
  libbpf_num_possible_cpus: { parameters: [], result: "i32" },
  libbpf_probe_bpf_map_type: { parameters: ["i32", "pointer"], result: "i32" },
  libbpf_probe_bpf_prog_type: { parameters: ["i32", "pointer"], result: "i32" },

  bpf_object__open_mem: { parameters: ["buffer", "usize", "buffer"], result: "pointer" },
  bpf_object__load: { parameters: ["pointer"], result: "i32" },
  bpf_object__close: { parameters: ["pointer"], result: "void" },
  bpf_object__find_map_by_name: { parameters: ["pointer", "buffer"], result: "pointer" },
  bpf_object__find_program_by_name: { parameters: ["pointer", "buffer"], result: "pointer" },
  bpf_object__next_program: { parameters: ["pointer", "pointer"], result: "pointer" },
  bpf_object__btf: { parameters: ["pointer"], result: "pointer" },
  btf__find_by_name_kind: { parameters: ["pointer", "buffer", "u32"], result: "i32" },
  btf__type_by_id: { parameters: ["pointer", "u32"], result: "pointer" },
  btf__name_by_offset: { parameters: ["pointer", "u32"], result: "pointer" },

  bpf_map__fd: { parameters: ["pointer"], result: "i32" },
  bpf_map__initial_value: { parameters: ["pointer", "buffer"], result: "pointer" },
  bpf_map__set_max_entries: { parameters: ["pointer", "u32"], result: "i32" },
  bpf_map__reuse_fd: { parameters: ["pointer", "i32"], result: "i32" },

  bpf_program__fd: { parameters: ["pointer"], result: "i32" },
  bpf_program__set_autoload: { parameters: ["pointer", "bool"], result: "i32" },
  bpf_program__attach_cgroup: { parameters: ["pointer", "i32"], result: "pointer" },
  bpf_program__attach_trace: { parameters: ["pointer"], result: "pointer" },
  bpf_program__attach_kprobe: { parameters: ["pointer", "bool", "buffer"], result: "pointer" },
  bpf_program__attach_iter: { parameters: ["pointer", "pointer"], result: "pointer" },

  ring_buffer__new: { parameters: ["i32", "function", "pointer", "pointer"], result: "pointer" },
  ring_buffer__epoll_fd: { parameters: ["pointer"], result: "i32" },
  ring_buffer__consume: { parameters: ["pointer"], result: "i32" },
  ring_buffer__free: { parameters: ["pointer"], result: "void" },

  bpf_link__open: { parameters: ["buffer"], result: "pointer" },
  bpf_link__fd: { parameters: ["pointer"], result: "i32" },
  bpf_link__pin: { parameters: ["pointer", "buffer"], result: "i32" },
  bpf_link__unpin: { parameters: ["pointer"], result: "i32" },
  bpf_link__detach: { parameters: ["pointer"], result: "i32" },
  bpf_link__destroy: { parameters: ["pointer"], result: "i32" },

  bpf_map_create: { parameters: ["u32", "buffer", "u32", "u32", "u32", "pointer"], result: "i32" },
  bpf_map_lookup_elem: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  bpf_map_update_elem: { parameters: ["i32", "buffer", "buffer", "u64"], result: "i32" },
  bpf_map_update_batch: { parameters: ["i32", "buffer", "buffer", "buffer", "pointer"], result: "i32" },
  bpf_map_delete_elem: { parameters: ["i32", "buffer"], result: "i32" },
  bpf_map_get_next_key: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  bpf_obj_pin: { parameters: ["i32", "buffer"], result: "i32" },
  bpf_obj_get: { parameters: ["buffer"], result: "i32" },
  bpf_obj_get_info_by_fd: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  bpf_prog_get_next_id: { parameters: ["u32", "buffer"], result: "i32" },
  bpf_map_get_next_id: { parameters: ["u32", "buffer"], result: "i32" },
  bpf_link_get_next_id: { parameters: ["u32", "buffer"], result: "i32" },
  bpf_prog_get_fd_by_id: { parameters: ["u32"], result: "i32" },
  bpf_map_get_fd_by_id: { parameters: ["u32"], result: "i32" },
  bpf_link_get_fd_by_id: { parameters: ["u32"], result: "i32" },
  bpf_prog_query: { parameters: ["i32", "i32", "u32", "buffer", "buffer", "buffer"], result: "i32" },
  bpf_prog_load: { parameters: ["i32", "pointer", "buffer", "buffer", "usize", "buffer"], result: "i32" },
  bpf_prog_attach: { parameters: ["i32", "i32", "i32", "u32"], result: "i32" },
  bpf_prog_detach2: { parameters: ["i32", "i32", "i32"], result: "i32" },
  bpf_link_create: { parameters: ["i32", "i32", "u32", "pointer"], result: "i32" },
  bpf_link_update: { parameters: ["i32", "i32", "pointer"], result: "i32" },
  bpf_prog_test_run_opts: { parameters: ["i32", "buffer"], result: "i32" },
  bpf_iter_create: { parameters: ["i32"], result: "i32" },
} as const;

function openLibrary(path: string) {
  return Deno.dlopen(path, symbols).symbols;
}

export type Libbpf = ReturnType<typeof openLibrary>;

export interface LibbpfInfo {
  /** As libbpf says it: `1.1`. */
  version: string;
  /** Where it came from: the host's own, the one inside this program, or the file that MDA_LIBBPF names. */
  origin: "host" | "carried" | string;
}

let opened: { symbols: Libbpf; info: LibbpfInfo } | undefined;

/**
 * libbpf's functions. The first call opens it: the file that the environment variable MDA_LIBBPF names (or
 * "host" or "carried"), else the host's libbpf.so.1, else the one inside this program.
 *
 * @throws Error when MDA_LIBBPF names none that can be used
 */
export function libbpf(): Libbpf {
  return open().symbols;
}

/** Which libbpf is in use, for `mda --version`. */
export function libbpfInfo(): LibbpfInfo {
  return open().info;
}

function open() {
  if (opened) return opened;
  const wanted = Deno.env.get("MDA_LIBBPF");
  if (wanted) {
    opened = wanted === "carried" ? openCarried() : openNamed(wanted);
  } else {
    try {
      opened = openNamed("host");
    } catch {
      opened = openCarried();
    }
  }
  opened.symbols.libbpf_set_print(messageTaker());
  return opened;
}

function openNamed(origin: string) {
  // The number in libbpf.so.1 is that of the 1.x interface: 0.x is libbpf.so.0.
  const path = origin === "host" ? "libbpf.so.1" : origin;
  let symbols;
  try {
    symbols = openLibrary(path);
  } catch (error) {
    const remedy = "mda needs libbpf 1.0 or later; unset MDA_LIBBPF to use the one it carries";
    throw new Error(`Cannot use ${path} as libbpf: ${(error as Error).message}; ${remedy}`);
  }
  return { symbols, info: { version: versionOf(symbols), origin } };
}

function openCarried() {
  const fds: number[] = [];
  try {
    for (const { name, base64 } of carriedLibraries) {
      const fd = libc.memfdCreate(name);
      fds.push(fd);
      libc.write(fd, Uint8Array.fromBase64(base64));
      const path = `/proc/self/fd/${fd}`;
      // glibc's _dl_map_object finds what a library needs among the already loaded ones by their SONAME, so
      // each of these satisfies the next; Deno never unloads a library.
      if (name !== "libbpf.so.1") {
        Deno.dlopen(path, {});
        continue;
      }
      const symbols = openLibrary(path);
      return { symbols, info: { version: versionOf(symbols), origin: "carried" } };
    }
    throw new Error("Cannot use the libbpf inside mda: it is not there");
  } finally {
    // The mappings keep the files; dlopen needs the descriptors only while it maps.
    for (const fd of fds) libc.close(fd);
  }
}

function versionOf(symbols: Libbpf): string {
  return Deno.UnsafePointerView.getCString(symbols.libbpf_version_string()!).replace(/^v/, "");
}
