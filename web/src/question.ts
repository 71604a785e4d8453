// What a visitor asks: a drawing, a picture, or a row of a table. Each calls back with raw values, as the data files hold them.

import { DrawingArea } from './drawing';
import { byId, element, paint, wordsOf } from './element';
import type { Column, PictureInput, RowInput } from './page_data';
import { fitted, opaque, placed, valuesOf } from './picture';
import { encodeRow } from './predict';

/// Takes raw values; or null where nothing is asked, and what is wrong with what was given.
export type Ask = (values: Float32Array | null, problem?: string) => void;

/// More columns than this are one text to paste into.
const MOST_FIELDS = 100;

/// Fills the panel of questions.
export function questionPanel(input: PictureInput | RowInput, ask: Ask): void {
    if (input.kind === 'picture') askForPicture(input, ask);
    else if (input.columns.length > MOST_FIELDS) askForText(input.columns, ask);
    else askForRow(input.columns, ask);
}

function askForPicture(input: PictureInput, ask: Ask): void {
    const { width, height, channels } = input;
    const seen = element('canvas', { id: 'seen', width, height, role: 'img', 'aria-label': 'What the model sees' });
    const give = (bytes: Uint8Array) => {
        paint(seen, bytes);
        ask(valuesOf(bytes, input));
    };
    const draw = (bytes: Uint8Array) => {
        if (bytes.some(value => value > 0)) return give(bytes);
        // Nothing is drawn, and nothing asked.
        paint(seen, bytes);
        ask(null);
    };
    const load = (file: Blob) => readPicture(file, input).then(give, error => ask(null, `this is no picture that the browser reads (${wordsOf(error)})`));
    const canvases = element('div', { class: 'canvases' });
    const buttons = element('div', { class: 'row' });
    const draws = channels === 1;
    if (draws) {
        const { pad, clear, place } = new DrawingArea(input.place, (drawing, where) => draw(placed(drawing, input, where)));
        canvases.append(element('figure', {}, pad, element('figcaption', {}, 'Draw here: white on black.')));
        buttons.append(clear, place);
    }
    canvases.append(element('figure', { class: 'seen' }, seen, element('figcaption', {}, `What the model sees: ${width}\u00a0x\u00a0${height}`)));
    buttons.append(chooser(load));
    const keys = 'With the keyboard: arrows move the pen, Space lowers or lifts it, Delete clears. ';
    const hint = element('p', { class: 'hint' }, `${draws ? keys : ''}A picture can also be dropped anywhere on this page.`);
    byId('question').append(canvases, buttons, hint);
    takeDropped(load);
    draw(new Uint8Array(channels * width * height));
}

/// A picture file as the bytes that the network takes.
async function readPicture(file: Blob, input: PictureInput): Promise<Uint8Array> {
    const bitmap = await createImageBitmap(file, { imageOrientation: 'from-image', colorSpaceConversion: 'none', premultiplyAlpha: 'none' });
    const { width, height } = bitmap;
    const context = element('canvas', { width, height }).getContext('2d', { willReadFrequently: true })!;
    context.drawImage(bitmap, 0, 0);
    return fitted(opaque(context.getImageData(0, 0, width, height).data, width, height, input.channels === 1), input);
}

/// A button that chooses a file.
function chooser(load: (file: Blob) => void): HTMLElement {
    const chosen = element('input', { type: 'file', accept: 'image/*', id: 'file' });
    chosen.addEventListener('change', () => {
        if (chosen.files?.[0]) load(chosen.files[0]);
        chosen.value = '';
    });
    return element('label', { class: 'file' }, 'Choose a picture', chosen);
}

/// Takes files that are dropped anywhere.
function takeDropped(load: (file: Blob) => void): void {
    const mark = (isOver: boolean) => byId('question').classList.toggle('dropping', isOver);
    document.addEventListener('dragover', event => {
        event.preventDefault();
        mark(true);
    });
    document.addEventListener('dragleave', () => mark(false));
    document.addEventListener('drop', event => {
        event.preventDefault();
        mark(false);
        const file = event.dataTransfer?.files[0];
        if (file) load(file);
    });
}

/// Asks with a row of cells, or says what is wrong with one.
function askRow(columns: Column[], cells: string[], ask: Ask): void {
    try {
        ask(encodeRow(columns, cells));
    } catch (error) {
        ask(null, wordsOf(error));
    }
}

/// One text for a row of many columns.
function askForText(columns: Column[], ask: Ask): void {
    const area = element('textarea', { id: 'cells', 'aria-label': `${columns.length} values` });
    area.value = columns.map(({ start }) => start ?? '').join(', ');
    const read = () => {
        const cells = area.value.split(/[,;\t\n]/);
        if (cells.length === columns.length) askRow(columns, cells, ask);
        else ask(null, `there are ${cells.length} values, and the model takes ${columns.length}`);
    };
    area.addEventListener('input', read);
    const first = columns.slice(0, 5).map(({ name }) => name).join(', ');
    byId('question').append(area, element('p', { class: 'hint' }, `${columns.length} values, separated by commas: ${first}, …`));
    read();
}

/// A field for each column.
function askForRow(columns: Column[], ask: Ask): void {
    const fields = columns.map(field);
    const read = () => askRow(columns, fields.map(({ value }) => value), ask);
    const labels = fields.map((input, at) => element('label', {}, columns[at].name, input));
    byId('question').append(element('form', { class: 'fields', input: read, submit: (event: Event) => event.preventDefault() }, ...labels));
    read();
}

function field({ levels, start, fill }: Column): HTMLInputElement | HTMLSelectElement {
    if (!levels) {
        const placeholder = fill === null ? '' : `missing: ${Number(fill.toPrecision(4))}`;
        return element('input', { type: 'text', inputmode: 'decimal', value: start ?? '', placeholder });
    }
    const option = (value: string, words = value) => element('option', { value }, words);
    return element('select', {}, ...levels.map(level => option(level)), option('\u0000other', '(another)'), option('', '(missing)'));
}
