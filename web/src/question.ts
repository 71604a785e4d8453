// What a visitor asks: a drawing, a picture, or a row of a table. Each calls back with raw values, as the data files hold them.

import { byId, element } from './element';
import type { Column, PictureInput, Place } from './page_data';
import { fitted, opaque, placed, valuesOf, type Pixels } from './picture';
import { encodeRow } from './predict';

type Ask = (values: Float32Array | null, problem?: string) => void;

/// The side of the drawing area in pixels, and the pen's width.
const PAD = 280;
const PEN = 22;

/// Draws bytes, channel after channel, as the network is given them.
function show(canvas: HTMLCanvasElement, bytes: Uint8Array, { width, height, channels }: PictureInput): void {
    const image = new ImageData(width, height);
    for (let at = 0; at < width * height; at++) {
        for (let colour = 0; colour < 3; colour++) {
            image.data[at * 4 + colour] = bytes[Math.min(colour, channels - 1) * width * height + at];
        }
        image.data[at * 4 + 3] = 255;
    }
    canvas.getContext('2d')!.putImageData(image, 0, 0);
}

export function askForPicture(input: PictureInput, ask: Ask): void {
    const section = byId('question');
    const seen = element('canvas', { id: 'seen', width: input.width, height: input.height, role: 'img', 'aria-label': 'What the model sees' });
    const canvases = element('div', { class: 'canvases' });
    const buttons = element('div', { class: 'row' });
    const draws = input.channels === 1;
    const give = (bytes: Uint8Array) => {
        show(seen, bytes, input);
        ask(valuesOf(bytes, input));
    };
    const load = async (file: Blob) => {
        try {
            const bitmap = await createImageBitmap(file, { imageOrientation: 'from-image', colorSpaceConversion: 'none', premultiplyAlpha: 'none' });
            const canvas = element('canvas', { width: bitmap.width, height: bitmap.height });
            const context = canvas.getContext('2d', { willReadFrequently: true })!;
            context.drawImage(bitmap, 0, 0);
            const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
            give(fitted(opaque(data, bitmap.width, bitmap.height, input.channels === 1), input));
        } catch (error) {
            ask(null, `this is no picture that the browser reads (${error instanceof Error ? error.message : error})`);
        }
    };
    if (draws) {
        const { pad, clear, place } = drawingArea(input.place, (drawing, where) => give(placed(drawing, input, where)));
        canvases.append(element('figure', {}, pad, element('figcaption', {}, 'Draw here: white on black.')));
        buttons.append(clear);
        canvases.append(element('figure', {}, seen, element('figcaption', {}, `What the model sees: ${input.width} x ${input.height}`)));
        section.append(canvases, buttons);
        buttons.append(place);
    } else {
        canvases.append(element('figure', {}, seen, element('figcaption', {}, `What the model sees: ${input.width} x ${input.height}`)));
        section.append(canvases, buttons);
    }
    const chooser = element('input', { type: 'file', accept: 'image/*', id: 'file' });
    chooser.addEventListener('change', () => {
        if (chooser.files?.[0]) void load(chooser.files[0]);
        chooser.value = '';
    });
    buttons.append(element('label', { class: 'file' }, 'Choose a picture', chooser));
    section.append(element('p', { class: 'hint' }, draws
        ? 'With the keyboard: arrows move the pen, Space lowers or lifts it, Delete clears. A picture can also be dropped anywhere on this page.'
        : 'A picture can also be dropped anywhere on this page.'));
    document.addEventListener('dragover', event => {
        event.preventDefault();
        section.classList.add('dropping');
    });
    document.addEventListener('dragleave', () => section.classList.remove('dropping'));
    document.addEventListener('drop', event => {
        event.preventDefault();
        section.classList.remove('dropping');
        const file = event.dataTransfer?.files[0];
        if (file) void load(file);
    });
    give(new Uint8Array(input.channels * input.width * input.height));
}

/// A black square to draw on, by pointer or by keyboard.
function drawingArea(first: Place, changed: (drawing: Pixels, place: Place) => void) {
    const pad = element('canvas', {
        id: 'pad', width: PAD, height: PAD, tabindex: 0, role: 'application',
        'aria-label': 'Drawing area. Arrow keys move the pen, Space lowers or lifts it, Delete clears.',
    });
    const context = pad.getContext('2d', { willReadFrequently: true })!;
    const ways: [Place, string][] = [['box', 'centred'], ['mass', 'as in MNIST: by its mass'], ['drawn', 'as drawn']];
    const options = ways.map(([value, words]) => element('option', { value, selected: value === first }, words));
    const place = element('select', { id: 'place', 'aria-label': 'How the drawing is placed' }, ...options);
    const read = () => {
        const { data } = context.getImageData(0, 0, PAD, PAD);
        changed(opaque(data, PAD, PAD, true), place.value as Place);
    };
    const wipe = () => {
        context.fillStyle = '#000';
        context.fillRect(0, 0, PAD, PAD);
        read();
    };
    let waiting = false;
    const line = (from: [number, number], to: [number, number]) => {
        Object.assign(context, { strokeStyle: '#fff', lineWidth: PEN, lineCap: 'round' });
        context.beginPath();
        context.moveTo(...from);
        context.lineTo(...to);
        context.stroke();
        if (waiting) return;
        waiting = true;
        requestAnimationFrame(() => {
            waiting = false;
            read();
        });
    };
    const at = (event: PointerEvent): [number, number] => {
        const { left, top, width, height } = pad.getBoundingClientRect();
        return [(event.clientX - left) / width * PAD, (event.clientY - top) / height * PAD];
    };
    let last: [number, number] | null = null;
    pad.addEventListener('pointerdown', event => {
        pad.setPointerCapture(event.pointerId);
        last = at(event);
        line(last, last);
    });
    pad.addEventListener('pointermove', event => {
        if (!last) return;
        for (const part of event.getCoalescedEvents?.() ?? [event]) {
            const next = at(part);
            line(last, next);
            last = next;
        }
    });
    const lift = () => { last = null; };
    pad.addEventListener('pointerup', lift);
    pad.addEventListener('pointercancel', lift);
    let [pen, isDown]: [[number, number], boolean] = [[PAD / 2, PAD / 2], false];
    const moves: Record<string, [number, number]> = { ArrowLeft: [-7, 0], ArrowRight: [7, 0], ArrowUp: [0, -7], ArrowDown: [0, 7] };
    pad.addEventListener('keydown', event => {
        const move = moves[event.key];
        if (move) {
            const next = pen.map((side, axis) => Math.min(Math.max(side + move[axis], 0), PAD)) as [number, number];
            if (isDown) line(pen, next);
            pen = next;
        } else if (event.key === ' ') {
            isDown = !isDown;
            if (isDown) line(pen, pen);
        } else if (event.key === 'Delete' || event.key === 'Backspace') {
            wipe();
        } else {
            return;
        }
        event.preventDefault();
    });
    place.addEventListener('change', read);
    context.fillStyle = '#000';
    context.fillRect(0, 0, PAD, PAD);
    return { pad, place, clear: element('button', { type: 'button', id: 'clear', click: wipe }, 'Clear') };
}

/// More columns than this are one text to paste into.
const MOST_FIELDS = 100;

export function askForRow(columns: Column[], ask: Ask): void {
    const section = byId('question');
    const answer = (cells: string[]) => {
        try {
            ask(encodeRow(columns, cells));
        } catch (error) {
            ask(null, (error as Error).message);
        }
    };
    if (columns.length > MOST_FIELDS) {
        const start = columns.map(({ start: value }) => value ?? '').join(', ');
        const area = element('textarea', { id: 'cells', 'aria-label': `${columns.length} values` });
        area.value = start;
        const read = () => {
            const cells = area.value.split(/[,;\t\n]/);
            if (cells.length === columns.length) answer(cells);
            else ask(null, `there are ${cells.length} values, and the model takes ${columns.length}`);
        };
        area.addEventListener('input', read);
        section.append(area, element('p', { class: 'hint' }, `${columns.length} values, separated by commas: ${columns.slice(0, 5).map(({ name }) => name).join(', ')}, …`));
        return read();
    }
    const fields = columns.map(({ name, levels, start, fill }) => {
        const field = levels
            ? element('select', {}, ...levels.map(level => element('option', { value: level }, level)), element('option', { value: '\u0000other' }, '(another)'),
                element('option', { value: '' }, '(missing)'))
            : element('input', { type: 'text', inputmode: 'decimal', value: start ?? '', placeholder: fill === null ? '' : `missing: ${Number(fill.toPrecision(4))}` });
        return { field, label: element('label', {}, name, field) };
    });
    const read = () => answer(fields.map(({ field }) => field.value));
    const form = element('form', { class: 'fields', input: read, submit: (event: Event) => event.preventDefault() }, ...fields.map(({ label }) => label));
    section.append(form);
    read();
}
