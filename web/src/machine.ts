// Replays a plan of gputrain on a WebGPU device: buffers, pipelines, and programs of dispatches, as plan.json has them.

export interface Slice {
    buffer: number;
    offset: number;
    len: number;
}

interface Pipeline {
    kernel: string;
    shader: number;
    params: unknown[];
    bindings: { name: string; access: 'read' | 'read_write' }[];
}

interface Dispatch {
    label: string;
    pipeline: number;
    params: number[];
    slices: Slice[];
    grid: [number, number, number];
}

export interface TensorPlace {
    name: string;
    shape: number[];
    offset: number;
    len: number;
}

interface Tensors {
    buffer: number;
    stride: number;
    tensors: TensorPlace[];
}

export interface Evaluation {
    name: string;
    begin: number;
    step: number;
    steps: number;
    counters: number;
    scalars: number;
    outputs: Slice;
}

export interface TrainingIo {
    begin_epoch: number;
    step: number;
    steps_per_epoch: number;
    epochs: number;
    learning_rates?: { epoch: number; bits: number[] }[];
    accumulation?: { batch: number; batches: number; batches_per_epoch: number };
    counters: number;
    scalars: number;
    log: number;
    log_steps: number;
}

export interface Io {
    models: number;
    parameters: Tensors;
    statistics?: Tensors;
    hyper: number;
    slots: Record<'counters' | 'scalars' | 'hyper', Record<string, number>>;
    sources: { name: string; data: number; layout: { examples: number; features: number } }[];
    training: TrainingIo | null;
    evaluations: Evaluation[];
}

export interface Plan {
    format: string;
    version: number;
    buffers: { name: string; element: 'f32' | 'u32'; len: number }[];
    shaders: string[];
    pipelines: Pipeline[];
    programs: { name: string; phases: { kind: string; dispatches: Dispatch[] }[] }[];
    init: { buffer: number; words?: number[]; blob?: [number, number] }[];
    io: Io;
}

interface Launch {
    pipeline: GPUComputePipeline;
    group: GPUBindGroup;
    grid: [number, number, number];
}

/// The version of plans that this replays.
export const PLAN_VERSION = 2;

/// The words that a plan writes before its first step, buffer by buffer.
export function* initial(plan: Plan, words: Uint32Array): Generator<[number, Uint32Array]> {
    for (const { buffer, words: own, blob } of plan.init) {
        yield [buffer, own ? Uint32Array.from(own) : words.subarray(blob![0], blob![0] + blob![1])];
    }
}

/// The first model's tensors by name, from the words of the buffers that hold them.
export function tensorsOf(io: Io, wordsOf: (buffer: number) => Uint32Array): Map<string, Float32Array> {
    const found = new Map<string, Float32Array>();
    for (const held of [io.parameters, io.statistics]) {
        if (!held) continue;
        const words = wordsOf(held.buffer);
        const floats = new Float32Array(words.buffer, words.byteOffset, words.length);
        for (const { name, offset, len } of held.tensors) found.set(name, floats.slice(offset, offset + len));
    }
    return found;
}

/// A plan on a device.
export class Machine {
    readonly io: Io;
    private readonly buffers: GPUBuffer[];
    private readonly layouts = new Map<string, GPUBindGroupLayout>();
    private readonly pipelines = new Map<number, Promise<GPUComputePipeline>>();
    private readonly programs = new Map<number, Launch[]>();
    private readonly uniforms: GPUBuffer[] = [];
    private fault: string | null = null;

    private constructor(private readonly device: GPUDevice, private readonly plan: Plan) {
        this.io = plan.io;
        this.buffers = plan.buffers.map(({ name, len }) => device.createBuffer({
            label: name, size: len * 4, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
        }));
    }

    /// Allocates a plan's buffers and writes what they begin with.
    static async create(device: GPUDevice, plan: Plan, words: Uint32Array): Promise<Machine> {
        if (plan.format !== 'gputrain plan' || plan.version !== PLAN_VERSION) {
            throw new Error(`this page replays plans of version ${PLAN_VERSION}, not of version ${plan.version}`);
        }
        device.pushErrorScope('out-of-memory');
        device.pushErrorScope('validation');
        const machine = new Machine(device, plan);
        const errors = [await device.popErrorScope(), await device.popErrorScope()];
        const error = errors.find(found => found);
        if (error) throw new Error(`the device could not allocate the plan's buffers: ${error.message}`);
        device.addEventListener('uncapturederror', event => { machine.fault ??= event.error.message; });
        void device.lost.then(lost => { machine.fault ??= `the device was lost: ${lost.message}`; });
        for (const [buffer, initialWords] of initial(plan, words)) machine.write(buffer, initialWords);
        return machine;
    }

    /// Writes words or floats into a buffer from an element on, in the order of the runs around it.
    write(buffer: number, words: Uint32Array | Float32Array, offset = 0): void {
        if (words.length > 0) this.device.queue.writeBuffer(this.buffers[buffer], offset * 4, words as GPUAllowSharedBufferSource);
    }

    /// The whole of a buffer.
    whole(buffer: number): Slice {
        return { buffer, offset: 0, len: this.plan.buffers[buffer].len };
    }

    /// Makes programs ready to run: compiles their shaders and binds their buffers.
    async prepare(...programs: number[]): Promise<void> {
        for (const program of programs) {
            if (this.programs.has(program)) continue;
            const dispatches = this.plan.programs[program].phases.flatMap(phase => phase.dispatches);
            const pipelines = await Promise.all(dispatches.map(({ pipeline }) => this.pipeline(pipeline)));
            const places = this.placeUniforms(dispatches);
            const launches = dispatches.map((dispatch, index) =>
                ({ pipeline: pipelines[index], group: this.bind(dispatch, places[index]), grid: dispatch.grid }));
            this.programs.set(program, launches);
        }
    }

    /// Hands a program to the device so many times.
    run(program: number, times = 1): void {
        const launches = this.programs.get(program);
        if (!launches) throw new Error(`the program ${this.plan.programs[program]?.name} was not prepared`);
        const encoder = this.device.createCommandEncoder();
        const pass = encoder.beginComputePass();
        for (let time = 0; time < times; time++) {
            for (const { pipeline, group, grid } of launches) {
                pass.setPipeline(pipeline);
                pass.setBindGroup(0, group);
                pass.dispatchWorkgroups(...grid);
            }
        }
        pass.end();
        this.device.queue.submit([encoder.finish()]);
    }

    /// The words of slices, after all that was handed over before.
    async read(...slices: Slice[]): Promise<Uint32Array[]> {
        const size = slices.reduce((sum, { len }) => sum + len * 4, 0);
        const staging = this.device.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
        const encoder = this.device.createCommandEncoder();
        let at = 0;
        for (const { buffer, offset, len } of slices) {
            encoder.copyBufferToBuffer(this.buffers[buffer], offset * 4, staging, at, len * 4);
            at += len * 4;
        }
        this.device.queue.submit([encoder.finish()]);
        try {
            await staging.mapAsync(GPUMapMode.READ);
        } catch (error) {
            throw new Error(this.fault ?? String(error));
        }
        if (this.fault) throw new Error(this.fault);
        const words = new Uint32Array(staging.getMappedRange()).slice();
        staging.destroy();
        at = 0;
        return slices.map(({ len }) => words.slice(at, at += len));
    }

    /// The first model's tensors by name.
    async tensors(): Promise<Map<string, Float32Array>> {
        const held = [this.io.parameters, this.io.statistics].filter(tensors => tensors !== undefined);
        const words = await this.read(...held.map(({ buffer }) => this.whole(buffer)));
        return tensorsOf(this.io, buffer => words[held.findIndex(tensors => tensors.buffer === buffer)]);
    }

    /// Sets the first model's tensors by name.
    setTensors(values: Map<string, Float32Array>): void {
        for (const held of [this.io.parameters, this.io.statistics]) {
            for (const { name, offset, len } of held?.tensors ?? []) {
                const found = values.get(name);
                if (found?.length !== len) throw new Error(`there are no ${len} values for ${name}`);
                this.write(held!.buffer, found, offset);
            }
        }
    }

    /// Gives the memory back.
    destroy(): void {
        for (const buffer of [...this.buffers, ...this.uniforms]) buffer.destroy();
        this.programs.clear();
    }

    private layout({ params, bindings }: Pipeline): GPUBindGroupLayout {
        const key = `${params.length}:${bindings.map(({ access }) => access).join()}`;
        const known = this.layouts.get(key);
        if (known) return known;
        const entries: GPUBindGroupLayoutEntry[] = bindings.map(({ access }, index) => ({
            binding: index + 1, visibility: GPUShaderStage.COMPUTE,
            buffer: { type: access === 'read' ? 'read-only-storage' : 'storage' },
        }));
        if (params.length > 0) entries.unshift({ binding: 0, visibility: GPUShaderStage.COMPUTE, buffer: { type: 'uniform' } });
        const layout = this.device.createBindGroupLayout({ entries });
        this.layouts.set(key, layout);
        return layout;
    }

    private pipeline(index: number): Promise<GPUComputePipeline> {
        let pipeline = this.pipelines.get(index);
        if (!pipeline) {
            const entry = this.plan.pipelines[index];
            const module = this.device.createShaderModule({ label: entry.kernel, code: this.plan.shaders[entry.shader] });
            const layout = this.device.createPipelineLayout({ bindGroupLayouts: [this.layout(entry)] });
            pipeline = this.device.createComputePipelineAsync({ label: entry.kernel, layout, compute: { module, entryPoint: 'main' } });
            this.pipelines.set(index, pipeline);
        }
        return pipeline;
    }

    /// One uniform buffer for the parameters of a program's dispatches: the place of each.
    private placeUniforms(dispatches: Dispatch[]): ({ buffer: GPUBuffer; offset: number; size: number } | null)[] {
        const step = this.device.limits.minUniformBufferOffsetAlignment / 4;
        const padded = (length: number) => Math.ceil(length / step) * step;
        const total = dispatches.reduce((sum, { params }) => sum + padded(params.length), 0);
        if (total === 0) return dispatches.map(() => null);
        const words = new Uint32Array(total);
        const buffer = this.device.createBuffer({ size: total * 4, usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST });
        let at = 0;
        const places = dispatches.map(({ params }) => {
            if (params.length === 0) return null;
            words.set(params, at);
            const place = { buffer, offset: at * 4, size: params.length * 4 };
            at += padded(params.length);
            return place;
        });
        this.device.queue.writeBuffer(buffer, 0, words);
        this.uniforms.push(buffer);
        return places;
    }

    private bind(dispatch: Dispatch, params: GPUBufferBinding | null): GPUBindGroup {
        const entries: GPUBindGroupEntry[] = dispatch.slices.map(({ buffer, offset, len }, index) =>
            ({ binding: index + 1, resource: { buffer: this.buffers[buffer], offset: offset * 4, size: len * 4 } }));
        if (params) entries.unshift({ binding: 0, resource: params });
        const layout = this.layout(this.plan.pipelines[dispatch.pipeline]);
        return this.device.createBindGroup({ label: dispatch.label, layout, entries });
    }
}
