// What drivers said of the shaders that examples/write_shaders.rs wrote, beside what they said before.
// usage: node table.mjs list FOLDER              the planned shaders, as statistics.c reads them
//        node table.mjs check FOLDER [--record]  holds FOLDER/GPU.jsonl against benches/compilers.json, or writes that anew
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [command, folder, option] = process.argv.slice(2);
const RECORD = 'benches/compilers.json', TABLE = 'benches/COMPILERS.md';
// A compiler's whim is no fault of a shader.
const GROWTH = 1.1;
const GPUS = { rdna2: 'RDNA2', rdna3: 'RDNA3', rdna4: 'RDNA4', ampere: 'Ampere', ada: 'Ada', m1: 'Apple M1' };

const shaders = JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')).filter(shader => shader.planned.length > 0);
const nameOf = shader => shader.file.replace(/\.wgsl$/, '');
// Equal keys have equal texts, whatever the number of the file.
const keyOf = shader => [shader.kernel, ...Object.entries(shader.constants).map(([name, value]) => `${name}=${value}`)].join(' ');

if (command === 'list') {
    const features = { nothing: 0, f16: 1, 'matrix units': 2 };
    for (const shader of shaders) {
        const subgroup = shader.needs === 'matrix units' ? shader.constants.SUBGROUP : 0;
        const path = join(folder, `${shader.file}.spv`);
        console.log(nameOf(shader), path, shader.params > 0 ? 1 : 0, shader.read_only.length, subgroup, features[shader.needs]);
    }
} else {
    check();
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

function read(gpu) {
    const [device, ...lines] = readFileSync(join(folder, `${gpu}.jsonl`), 'utf8').trim().split('\n').map(line => JSON.parse(line));
    const keys = new Map(shaders.map(shader => [nameOf(shader), keyOf(shader)]));
    const said = {};
    for (const line of lines) {
        said[keys.get(line.name)] = 'lacks' in line ? { lacks: line.lacks } : 'error' in line ? { error: line.error } : inCommon(line);
    }
    const milliseconds = lines.reduce((sum, line) => sum + (line.milliseconds ?? 0), 0);
    return { device: device.device, driver: device.driver, milliseconds: Math.round(milliseconds), shaders: said };
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

function check() {
    const gpus = Object.keys(GPUS).filter(gpu => existsSync(join(folder, `${gpu}.jsonl`)));
    const now = Object.fromEntries(gpus.map(gpu => [gpu, read(gpu)]));
    for (const gpu of gpus) {
        if (Object.keys(now[gpu].shaders).length !== shaders.length) throw new Error(`${gpu}: not every shader was answered for`);
    }
    const record = existsSync(RECORD) ? JSON.parse(readFileSync(RECORD, 'utf8')) : {};
    let faults = 0;
    for (const gpu of gpus) {
        const same = option !== '--record' && record[gpu]?.driver === now[gpu].driver;
        const entries = Object.entries(now[gpu].shaders);
        const compiled = entries.filter(([, said]) => !said.lacks && !said.error).length;
        const fresh = same ? entries.filter(([key]) => !(key in record[gpu].shaders)).length : 0;
        console.log(`${GPUS[gpu]} (${now[gpu].device.trim()}, ${now[gpu].driver}): ${compiled} of ${entries.length} shaders compiled in ` +
            `${(now[gpu].milliseconds / 1000).toFixed(0)} s, ` +
            (same ? `held against ${RECORD}, which lacks ${fresh}` : 'held to spills alone'));
        for (const [key, said] of entries) {
            const problem = fault(said, same ? record[gpu].shaders[key] : undefined);
            if (problem) {
                faults++;
                console.error(`  ${key}: ${problem}`);
            }
        }
    }
    if (option === '--record') {
        writeFileSync(RECORD, written(now));
        writeFileSync(TABLE, table(now));
        console.log(`wrote ${RECORD} and ${TABLE}`);
    }
    if (faults > 0) {
        console.error(`${faults} faults; where a change is worth it: tests/compilers.sh --record`);
        process.exit(1);
    }
}

// A line for each shader.
function written(now) {
    const lines = said => Object.entries(said).sort().map(([key, value]) => `    ${JSON.stringify(key)}: ${JSON.stringify(value)}`).join(',\n');
    const gpu = ([name, { device, driver, milliseconds, shaders }]) =>
        `  "${name}": {\n   "device": ${JSON.stringify(device)}, "driver": ${JSON.stringify(driver)}, "milliseconds": ${milliseconds},\n` +
        `   "shaders": {\n${lines(shaders)}\n   }\n  }`;
    return `{\n${Object.entries(now).map(gpu).join(',\n')}\n}\n`;
}

// Of the shaders of one kernel and tile the one with the most registers; the others differ in an activation or the like.
function table(now) {
    const gpus = Object.keys(now);
    const rows = new Map();
    for (const shader of shaders) {
        const { TILE_M, TILE_N, TILE_K, MATRIX, SUBGROUP, WIDTH } = shader.constants;
        const tile = TILE_M ? ` ${TILE_M}x${TILE_N}x${TILE_K}` : '';
        const width = WIDTH > 1 ? ', in fours' : '';
        const units = MATRIX ? `, units of ${MATRIX}, subgroups of ${SUBGROUP}` : '';
        const row = shader.kernel + tile + width + units;
        if (!rows.has(row)) rows.set(row, []);
        rows.get(row).push(keyOf(shader));
    }
    const cell = (gpu, keys) => {
        const said = keys.map(key => now[gpu].shaders[key]).filter(said => !said.lacks);
        if (said.length === 0) return '-';
        const most = said.reduce((a, b) => (b.registers > a.registers || (b.registers === a.registers && b.cost > a.cost) ? b : a));
        const spills = most.spills ? `, **${most.spills} spilled**` : '';
        return `${most.registers} / ${most.waves} / ${most.code} / ${most.cost}${spills}`;
    };
    const line = cells => `| ${cells.join(' | ')} |`;
    const drivers = gpus.map(gpu => `${GPUS[gpu]}: ${now[gpu].device.trim()}, ${now[gpu].driver}, ${(now[gpu].milliseconds / 1000).toFixed(0)} s for all`);
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
