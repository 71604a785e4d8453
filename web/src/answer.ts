// The answer: each class, bit or value with a bar that moves, and the best in large.

import { byId, element } from './element';
import type { Answer } from './page_data';
import { named } from './predict';

/// Shows answers; null empties the panel, with what is wrong.
export function answerPanel(answer: Answer): (outputs: Float32Array | null, problem?: string) => void {
    const section = byId('answer');
    const best = element('output', { id: 'best', 'aria-live': 'polite' });
    const list = element('ul', { class: 'bars' });
    section.append(best);
    // A single value has nothing to be longer than.
    if (answer.kind !== 'values' || answer.names.length > 1) section.append(list);
    const rows = answer.names.map(name => {
        const [bar, value] = [element('span'), element('span', { class: 'value' })];
        const item = element('li', {}, element('span', { class: 'name', title: name }, name),
            element('span', { class: 'track', 'aria-hidden': 'true' }, bar), value);
        list.append(item);
        return { item, bar, value };
    });
    const percent = (share: number) => `${(share * 100).toFixed(1)} %`;
    const isShare = answer.kind !== 'values';
    // Bars of values are relative to the largest that was seen.
    let most = 0;
    let said = 0;
    return (outputs, problem) => {
        best.classList.toggle('error', outputs === null);
        if (!outputs) {
            best.textContent = problem ?? '';
            rows.forEach(({ bar, value, item }) => {
                bar.style.transform = 'scaleX(0)';
                value.textContent = '';
                item.classList.remove('best');
            });
            return;
        }
        const found = named(answer, outputs);
        const largest = found.reduce((top, { value }, at) => (value > found[top].value ? at : top), 0);
        most = Math.max(most, ...found.map(({ value }) => Math.abs(value)));
        found.forEach(({ value }, at) => {
            const { item, bar, value: text } = rows[at];
            const length = isShare ? value : Math.abs(value) / (most || 1);
            bar.style.transform = `scaleX(${Math.min(Math.max(length, 0), 1)})`;
            text.textContent = isShare ? percent(value) : String(Number(value.toPrecision(5)));
            item.classList.toggle('best', answer.kind === 'classes' ? at === largest : answer.kind === 'bits' && value > 0.5);
        });
        const words = answer.kind === 'classes' ? `${found[largest].name} (${percent(found[largest].value)})`
            : answer.kind === 'bits' ? found.filter(({ value }) => value > 0.5).map(({ name }) => name).join(', ') || 'none'
                : found.slice(0, 3).map(({ name, value }) => `${name}: ${Number(value.toPrecision(5))}`).join(', ');
        // A screen reader is told at most thrice a second, the eye at once.
        const now = performance.now();
        best.setAttribute('aria-live', now - said > 333 ? 'polite' : 'off');
        if (best.textContent !== words) said = now;
        best.textContent = words;
    };
}
