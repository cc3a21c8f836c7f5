// Reads a JSON array of graphs in DOT, writes the array of their SVGs. Graphviz as WASM: the same everywhere, fonts included.
import { instance } from "@viz-js/viz";
import { readFileSync } from "node:fs";

const viz = await instance();
const graphs = JSON.parse(readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(graphs.map((graph) => viz.renderString(graph, { format: "svg" }))));
