// The answer: each class, bit or value with a bar that moves, and the best in large; or a picture.

import { byId, element, paint } from './element';
import type { Answer, PictureInput } from './page_data';
import { bytesOf } from './picture';
import { named, type Named } from './predict';

/// Shows answers; null empties the panel, with what is wrong.
export type Show = (outputs: Float32Array | null, problem?: string) => void;

const percent = (share: number) => `${(share * 100).toFixed(1)} %`;
const short = (value: number) => String(Number(value.toPrecision(5)));

/// Fills the panel of answers.
export function answerPanel(answer: Answer, input: PictureInput | null): Show {
    const best = element('output', { id: 'best', 'aria-live': 'polite' });
    byId('answer').append(best);
    const show = answer.kind === 'picture' && input ? picture(input) : bars(answer);
    const say = sayer(best);
    return (outputs, problem) => {
        best.classList.toggle('error', problem !== undefined);
        if (outputs) say(show(outputs));
        else {
            show(null);
            best.textContent = problem ?? '';
        }
    };
}

/// Tells a screen reader at most thrice a second, the eye at once.
function sayer(place: HTMLElement): (words: string) => void {
    let said = 0;
    return words => {
        const now = performance.now();
        place.setAttribute('aria-live', now - said > 333 ? 'polite' : 'off');
        if (place.textContent !== words) said = now;
        place.textContent = words;
    };
}

/// A picture that the model makes: shows it, and gives the words for it.
function picture(input: PictureInput): (outputs: Float32Array | null) => string {
    const { width, height, channels } = input;
    const made = element('canvas', { id: 'made', width, height, role: 'img', 'aria-label': 'What the model makes of it' });
    byId('answer').append(element('figure', {}, made, element('figcaption', {}, 'What the model makes of it')));
    return outputs => {
        paint(made, outputs ? bytesOf(outputs, input) : new Uint8Array(width * height * channels));
        return '';
    };
}

/// A bar for each class, bit or value: shows them, and gives the words for the best.
function bars(answer: Answer): (outputs: Float32Array | null) => string {
    const list = element('ul', { class: 'bars' });
    const rows = answer.names.map(name => {
        const [bar, value] = [element('span'), element('span', { class: 'value' })];
        const item = element('li', {}, element('span', { class: 'name', title: name }, name),
            element('span', { class: 'track', 'aria-hidden': 'true' }, bar), value);
        list.append(item);
        return { item, bar, value };
    });
    // A single value has nothing to be longer than.
    if (answer.kind !== 'values' || answer.names.length > 1) byId('answer').append(list);
    // Bars of values are relative to the largest that was seen.
    let most = 0;
    return outputs => {
        const found = outputs ? named(answer, outputs) : [];
        const isBest = bestOf(answer, found);
        most = Math.max(most, ...found.map(({ value }) => Math.abs(value)));
        rows.forEach(({ item, bar, value: text }, at) => {
            const value = found[at]?.value;
            const length = value === undefined ? 0 : answer.kind === 'values' ? Math.abs(value) / (most || 1) : value;
            bar.style.transform = `scaleX(${Math.min(Math.max(length, 0), 1)})`;
            text.textContent = value === undefined ? '' : answer.kind === 'values' ? short(value) : percent(value);
            item.classList.toggle('best', isBest(at));
        });
        return inWords(answer, found, isBest);
    };
}

/// Which outputs stand out: the likeliest class, or the bits that are set.
function bestOf({ kind }: Answer, found: Named[]): (at: number) => boolean {
    const likeliest = found.reduce((top, { value }, at) => (value > found[top].value ? at : top), 0);
    return at => at < found.length && (kind === 'classes' ? at === likeliest : kind === 'bits' && found[at].value > 0.5);
}

function inWords({ kind }: Answer, found: Named[], isBest: (at: number) => boolean): string {
    const best = found.filter((_, at) => isBest(at));
    if (kind === 'classes') return best.map(({ name, value }) => `${name} (${percent(value)})`).join();
    if (kind === 'bits') return best.map(({ name }) => name).join(', ') || 'none';
    return found.slice(0, 3).map(({ name, value }) => `${name}: ${short(value)}`).join(', ');
}
