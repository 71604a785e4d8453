// A page as the program writes it, run without a browser: its data, and its own script in this process.
import { readFileSync } from 'node:fs';
import vm from 'node:vm';
import { create, globals } from 'webgpu';

Object.assign(globalThis, globals);

const between = (text, start, end) => {
    const from = text.indexOf(start);
    const to = text.indexOf(end, from + start.length);
    if (from < 0 || to < 0) throw new Error(`the page has no ${start}`);
    return text.slice(from + start.length, to);
};

/// The page's data; its script has then put `gputrain` into the global scope.
export function load(file) {
    const html = readFileSync(file, 'utf8');
    // The name of SVG is no address.
    const addresses = html.replaceAll("http://www.w3.org/2000/svg", "").match(/\b(?:src|href)="(?!data:)[^"]*"|https?:\/\/[^\s"'<>]+/g) ?? [];
    if (addresses.length > 0) throw new Error(`${file} names other files: ${addresses.join(', ')}`);
    vm.runInThisContext(between(html, '</script>\n<script>', '</script>'), { filename: `${file} (script)` });
    return JSON.parse(between(html, '<script type="application/json" id="data">', '</script>'));
}

/// A device with WebGPU's default limits, or with so much workgroup memory, on whatever Vulkan there is.
export async function open(workgroupBytes) {
    // Kept: what it made does not outlive it.
    globalThis.dawn ??= create([]);
    const opened = await globalThis.gputrain.openDevice(globalThis.dawn, workgroupBytes);
    if (typeof opened === 'string') throw new Error(`Dawn, which runs WebGPU in Node, does not run here: ${opened}`);
    const limits = { maxComputeWorkgroupStorageSize: workgroupBytes ?? 16384, maxStorageBuffersPerShaderStage: 8, maxComputeInvocationsPerWorkgroup: 256, maxStorageBufferBindingSize: 128 << 20 };
    for (const [name, most] of Object.entries(limits)) {
        const found = opened.device.limits[name];
        if (found !== most) throw new Error(`the device allows ${name} = ${found}, not ${most}: what passes here proves nothing`);
    }
    return opened;
}
