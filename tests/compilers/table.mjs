// What drivers said of the shaders that examples/write_shaders.rs wrote, beside what they said before. A shader whose SPIR-V is
// the recorded one was compiled when it was recorded, and is not again.
// usage: node table.mjs list FOLDER GPU [--every]  the shaders that GPU's driver is to compile, as statistics.c reads them:
//                                                  what is planned and not recorded; with --every all, also what only the tuner
//                                                  tries, but for what this very driver compiled before. FOLDER/GPU.device names it.
//        node table.mjs check FOLDER [--record]    holds FOLDER/GPU.jsonl against benches/compilers.json, or writes that anew
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [command, folder, ...options] = process.argv.slice(2);
const RECORD = 'benches/compilers.json', TABLE = 'benches/COMPILERS.md';
// A compiler's whim is no fault of a shader.
const GROWTH = 1.1;
const GPUS = { rdna2: 'RDNA2', rdna3: 'RDNA3', rdna4: 'RDNA4', ampere: 'Ampere', ada: 'Ada', m1: 'Apple M1' };

// Equal keys have equal texts, whatever the number of the file.
const keyOf = shader => [shader.kernel, ...Object.entries(shader.constants).map(([name, value]) => `${name}=${value}`)].join(' ');
const spirvOf = shader => join(folder, `${shader.file}.spv`);
const shaders = JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')).filter(shader => existsSync(spirvOf(shader))).map(shader => ({
    ...shader,
    key: keyOf(shader),
    name: shader.file.replace(/\.wgsl$/, ''),
    isPlanned: shader.planned.length > 0,
    hash: createHash('sha256').update(readFileSync(spirvOf(shader))).digest('hex').slice(0, 16),
}));
const record = existsSync(RECORD) ? JSON.parse(readFileSync(RECORD, 'utf8')) : { spirv: {}, gpus: {} };
// What a GPU's driver said of a shader when it was recorded, if the shader is still the same.
const recorded = (gpu, shader) => (record.spirv[shader.key] === shader.hash ? record.gpus[gpu]?.shaders[shader.key] : undefined);

if (command === 'list') {
    list(options[0], options.includes('--every'));
} else {
    check(options.includes('--record'));
}

function list(gpu, every) {
    const features = { nothing: 0, f16: 1, 'matrix units': 2 };
    const { driver } = JSON.parse(readFileSync(join(folder, `${gpu}.device`), 'utf8'));
    const sameDriver = record.gpus[gpu]?.driver === driver;
    const wanted = shader => (every ? !(sameDriver && recorded(gpu, shader)) : shader.isPlanned && !recorded(gpu, shader));
    for (const shader of shaders.filter(wanted)) {
        const subgroup = shader.needs === 'matrix units' ? shader.constants.SUBGROUP : 0;
        console.log(shader.name, spirvOf(shader), shader.params > 0 ? 1 : 0, shader.read_only.length, subgroup, features[shader.needs]);
    }
}

// The words of each driver, in common ones. `waves`: of a SIMD (AMD), a multiprocessor (NVIDIA); threads of a core (Apple).
// `cost`: inverse throughput (AMD), cycles in a row (NVIDIA), arithmetic instructions (Apple).
function inCommon(said) {
    return {
        registers: said.VGPRs ?? said['Number of GPRs'] ?? said.GPRs,
        waves: said['Subgroups per SIMD'] ?? said['Max warps/SM'] ?? said.Threads,
        spills: (said['Spilled VGPRs'] ?? 0) + (said['Spills to memory'] ?? 0) + (said.Spills ?? 0),
        scratch: said['Scratch size'] ?? said['SLM size'] ?? said.Scratch,
        code: said['Code size'],
        cost: said['Inverse Throughput'] ?? said['Static cycle count'] ?? said.ALU,
    };
}

// What a GPU's driver says of each shader: now, where it was compiled now, else when it was recorded.
function read(gpu) {
    const { device, driver } = JSON.parse(readFileSync(join(folder, `${gpu}.device`), 'utf8'));
    const lines = readFileSync(join(folder, `${gpu}.jsonl`), 'utf8').trim().split('\n').slice(1).map(line => JSON.parse(line));
    const heard = new Map(lines.map(line => [line.name, line]));
    const said = {};
    for (const shader of shaders) {
        const line = heard.get(shader.name);
        if (!line) said[shader.key] = recorded(gpu, shader);
        else if ('lacks' in line) said[shader.key] = { lacks: line.lacks };
        else if ('error' in line) said[shader.key] = { error: line.error };
        else said[shader.key] = { ...inCommon(line), milliseconds: Math.round(line.milliseconds) };
    }
    return { device, driver, compiled: heard.size, shaders: said };
}

// What is wrong with a shader, in words; `before` is there if the drivers are the same.
function fault(now, before) {
    if (now.error) return `does not compile (${now.error})`;
    if (now.spills || now.scratch) return `spills to memory: ${now.spills} registers, ${now.scratch} bytes`;
    if (!before || before.lacks || now.lacks) return;
    if (now.waves < before.waves) return `${now.waves} waves, ${before.waves} before`;
    for (const what of ['registers', 'code', 'cost']) {
        if (now[what] > before[what] * GROWTH) return `${what} ${now[what]}, ${before[what]} before`;
    }
}

function check(writes) {
    const gpus = Object.keys(GPUS).filter(gpu => existsSync(join(folder, `${gpu}.jsonl`)));
    const now = Object.fromEntries(gpus.map(gpu => [gpu, read(gpu)]));
    let faults = 0;
    for (const gpu of gpus) {
        const same = !writes && record.gpus[gpu]?.driver === now[gpu].driver;
        const planned = shaders.filter(shader => shader.isPlanned);
        console.log(`${GPUS[gpu]} (${now[gpu].device.trim()}, ${now[gpu].driver}): ${now[gpu].compiled} shaders compiled, ` +
            `${planned.length} planned ones ${same ? `held against ${RECORD}` : 'held to spills alone'}`);
        for (const { key } of planned) {
            const said = now[gpu].shaders[key];
            if (!said) throw new Error(`${gpu}: nothing was said of ${key}`);
            const problem = fault(said, same ? record.gpus[gpu].shaders[key] : undefined);
            if (problem) {
                faults++;
                console.error(`  ${key}: ${problem}`);
            }
        }
    }
    if (writes) {
        writeFileSync(RECORD, written(now));
        writeFileSync(TABLE, table(now));
        console.log(`wrote ${RECORD} and ${TABLE}`);
    }
    if (faults > 0) {
        console.error(`${faults} faults; where a change is worth it: tests/compilers.sh --record`);
        process.exit(1);
    }
}

// A line for each shader; of each its SPIR-V's hash, and what each GPU's driver said.
function written(now) {
    const lines = said => Object.entries(said).sort().map(([key, value]) => `    ${JSON.stringify(key)}: ${JSON.stringify(value)}`).join(',\n');
    const gpu = ([name, { device, driver, shaders }]) =>
        `  "${name}": {\n   "device": ${JSON.stringify(device)}, "driver": ${JSON.stringify(driver)},\n   "shaders": {\n${lines(shaders)}\n   }\n  }`;
    const spirv = Object.fromEntries(shaders.map(shader => [shader.key, shader.hash]));
    return `{\n "spirv": {\n${lines(spirv)}\n },\n "gpus": {\n${Object.entries(now).map(gpu).join(',\n')}\n }\n}\n`;
}

// Of the shaders of one kernel and tile the one with the most registers; the others differ in an activation or the like.
function table(now) {
    const gpus = Object.keys(now);
    const rows = new Map();
    for (const shader of shaders.filter(shader => shader.isPlanned)) {
        const { TILE_M, TILE_N, TILE_K, MATRIX, SUBGROUP, WIDTH } = shader.constants;
        const tile = TILE_M ? ` ${TILE_M}x${TILE_N}x${TILE_K}` : '';
        const width = WIDTH > 1 ? ', in fours' : '';
        const units = MATRIX ? `, units of ${MATRIX}, subgroups of ${SUBGROUP}` : '';
        const row = shader.kernel + tile + width + units;
        if (!rows.has(row)) rows.set(row, []);
        rows.get(row).push(shader.key);
    }
    const cell = (gpu, keys) => {
        const said = keys.map(key => now[gpu].shaders[key]).filter(said => !said.lacks);
        if (said.length === 0) return '-';
        const most = said.reduce((a, b) => (b.registers > a.registers || (b.registers === a.registers && b.cost > a.cost) ? b : a));
        const spills = most.spills ? `, **${most.spills} spilled**` : '';
        return `${most.registers} / ${most.waves} / ${most.code} / ${most.cost}${spills}`;
    };
    const line = cells => `| ${cells.join(' | ')} |`;
    const drivers = gpus.map(gpu => {
        const all = shaders.map(shader => ({ ...now[gpu].shaders[shader.key], isPlanned: shader.isPlanned })).filter(said => !said.lacks);
        const spills = all.filter(said => !said.isPlanned && said.spills > 0).length;
        const seconds = all.reduce((sum, said) => sum + (said.milliseconds ?? 0), 0) / 1000;
        return `${GPUS[gpu]}: ${now[gpu].device.trim()}, ${now[gpu].driver}: ${all.length} shaders in ${seconds.toFixed(0)} s; of those that only ` +
            `the tuner tries ${spills} spill`;
    });
    return [
        '# What GPUs\' compilers make of the planned shaders',
        '',
        'Made by `tests/compilers.sh --record` without any GPU; every shader is in `compilers.json`. A cell is registers / waves / bytes of code /',
        'cost. Waves: of a SIMD on AMD, a multiprocessor on NVIDIA, threads of a core on Apple. Cost: inverse throughput on AMD, cycles in a row',
        'on NVIDIA, arithmetic instructions on Apple; it compares forms of one kernel on one GPU. Shaders of one kernel and tile share a row, with',
        'the numbers of the one that takes most registers.',
        '',
        ...drivers.map(driver => `- ${driver}`),
        '',
        line(['kernel', ...gpus.map(gpu => GPUS[gpu])]),
        line(['---', ...gpus.map(() => '---')]),
        ...[...rows].sort().map(([row, keys]) => line([row, ...gpus.map(gpu => cell(gpu, keys))])),
        '',
    ].join('\n');
}
