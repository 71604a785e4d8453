// Gives every shader that examples/write_shaders.rs wrote to Tint, the compiler of Chromium; of those that are planned for
// WebGPU's default limits, pipelines must come about too. usage: node check.mjs FOLDER
// The device is Dawn's null one: no driver is needed, and nothing runs.
import { create, globals } from 'webgpu';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

Object.assign(globalThis, globals);
const folder = process.argv[2];
const text = file => readFileSync(join(folder, file), 'utf8');
const gpu = create(['backend=null']);
const adapter = await gpu.requestAdapter();
const device = await adapter.requestDevice({ requiredFeatures: ['shader-f16'] });

// What Tint says of a text: null if it takes it.
async function refusal(code) {
    device.pushErrorScope('validation');
    const module = device.createShaderModule({ code });
    const { messages } = await module.getCompilationInfo();
    const error = await device.popErrorScope();
    const said = messages.map(m => `line ${m.lineNum}: ${m.type}: ${m.message}`);
    return [module, said.length > 0 ? said.join('\n  ') : error?.message];
}

// Why there is no pipeline, with the layout that gputrain gives it and WebGPU's default limits.
async function pipelineRefusal(module, shader) {
    const storage = shader.read_only.map((read, i) =>
        ({ binding: i + 1, visibility: GPUShaderStage.COMPUTE, buffer: { type: read ? 'read-only-storage' : 'storage' } }));
    const params = { binding: 0, visibility: GPUShaderStage.COMPUTE, buffer: { type: 'uniform', minBindingSize: shader.params * 4 } };
    const entries = shader.params > 0 ? [params, ...storage] : storage;
    device.pushErrorScope('validation');
    const group = device.createBindGroupLayout({ entries });
    const layout = device.createPipelineLayout({ bindGroupLayouts: [group] });
    device.createComputePipeline({ layout, compute: { module, entryPoint: 'main' } });
    return (await device.popErrorScope())?.message;
}

// A check that refuses nothing proves nothing: each kind of fault that was once in a shader must be refused.
const faulty = [
    'const LOWEST: f32 = -3.4028235e38;',
    'var<private> p: u32; @compute @workgroup_size(64) fn main(@builtin(workgroup_id) g: vec3<u32>) { p = g.x; if p > 3u { return; } workgroupBarrier(); }',
];
for (const code of faulty) {
    if (!(await refusal(code))[1]) throw new Error(`Tint no longer refuses: ${code}`);
}

let [checked, pipelines, failed, leftOut] = [0, 0, 0, 0];
for (const shader of JSON.parse(text('index.json'))) {
    // WebGPU has no matrix units yet.
    if (shader.needs === 'matrix units') { leftOut++; continue; }
    const [module, said] = await refusal(text(shader.file));
    const problem = said ?? (shader.default_limits ? await pipelineRefusal(module, shader) : undefined);
    checked++;
    if (shader.default_limits) pipelines++;
    if (problem) {
        failed++;
        console.error(`${shader.file} ${JSON.stringify(shader.constants)}:\n  ${problem}`);
    }
}
console.log(`${checked - failed} of ${checked} shaders pass, ${pipelines} of them as pipelines within WebGPU's default limits; ` +
    `left out: ${leftOut} for matrix units, which WebGPU does not have`);
device.destroy();
process.exit(failed === 0 && checked > 300 && pipelines > 50 ? 0 : 1);
