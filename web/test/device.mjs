// Whether Dawn finds a device here.
import { create, globals } from 'webgpu';

Object.assign(globalThis, globals);
const adapter = await create([]).requestAdapter();
const device = await adapter?.requestDevice();
console.log(adapter?.info.description ?? 'no adapter');
device?.destroy();
process.exit(device ? 0 : 1);
