// A black square to draw on, by pointer or by keyboard.

import { element } from './element';
import type { Place } from './page_data';
import { opaque, type Pixels } from './picture';

type Point = [number, number];

/// The side of the drawing area in pixels, the pen's width, and how far a key moves it.
const [SIDE, PEN, MOVE] = [280, 22, 7];
const MOVES: Record<string, Point> = { ArrowLeft: [-MOVE, 0], ArrowRight: [MOVE, 0], ArrowUp: [0, -MOVE], ArrowDown: [0, MOVE] };
const PLACES: [Place, string][] = [['box', 'centred'], ['mass', 'as in MNIST: by its mass'], ['drawn', 'as drawn']];

export class DrawingArea {
    readonly pad = element('canvas', {
        id: 'pad', width: SIDE, height: SIDE, tabindex: 0, role: 'application',
        'aria-label': 'Drawing area. Arrow keys move the pen, Space lowers or lifts it, Delete clears.',
    });
    readonly clear = element('button', { type: 'button', id: 'clear', click: () => this.wipe() }, 'Clear');
    readonly place: HTMLSelectElement;
    private readonly context = this.pad.getContext('2d', { willReadFrequently: true })!;
    private isWaiting = false;
    /// Where the pointer was, while it draws.
    private last: Point | null = null;
    /// Where the keyboard's pen is.
    private pen: Point = [SIDE / 2, SIDE / 2];
    private isDown = false;

    /// `changed` gets what is drawn, and where it is to be placed.
    constructor(first: Place, private readonly changed: (drawing: Pixels, place: Place) => void) {
        const options = PLACES.map(([value, words]) => element('option', { value, selected: value === first }, words));
        this.place = element('select', { id: 'place', 'aria-label': 'How the drawing is placed', change: () => this.read() }, ...options);
        this.blacken();
        this.pad.addEventListener('pointerdown', event => this.press(event));
        this.pad.addEventListener('pointermove', event => this.follow(event));
        for (const end of ['pointerup', 'pointercancel']) this.pad.addEventListener(end, () => { this.last = null; });
        this.pad.addEventListener('keydown', event => { if (this.key(event.key)) event.preventDefault(); });
    }

    private read(): void {
        const { data } = this.context.getImageData(0, 0, SIDE, SIDE);
        this.changed(opaque(data, SIDE, SIDE, true), this.place.value as Place);
    }

    private blacken(): void {
        this.context.fillStyle = '#000';
        this.context.fillRect(0, 0, SIDE, SIDE);
    }

    private wipe(): void {
        this.blacken();
        this.read();
    }

    private line(from: Point, to: Point): void {
        Object.assign(this.context, { strokeStyle: '#fff', lineWidth: PEN, lineCap: 'round' });
        this.context.beginPath();
        this.context.moveTo(...from);
        this.context.lineTo(...to);
        this.context.stroke();
        if (this.isWaiting) return;
        this.isWaiting = true;
        requestAnimationFrame(() => {
            this.isWaiting = false;
            this.read();
        });
    }

    private at({ clientX, clientY }: PointerEvent): Point {
        const { left, top, width, height } = this.pad.getBoundingClientRect();
        return [(clientX - left) / width * SIDE, (clientY - top) / height * SIDE];
    }

    private press(event: PointerEvent): void {
        this.pad.setPointerCapture(event.pointerId);
        this.last = this.at(event);
        this.line(this.last, this.last);
    }

    private follow(event: PointerEvent): void {
        if (!this.last) return;
        for (const part of event.getCoalescedEvents?.() ?? [event]) {
            const next = this.at(part);
            this.line(this.last, next);
            this.last = next;
        }
    }

    /// Whether a key means something here.
    private key(key: string): boolean {
        const move = MOVES[key];
        if (move) {
            const next = this.pen.map((side, axis) => Math.min(Math.max(side + move[axis], 0), SIDE)) as Point;
            if (this.isDown) this.line(this.pen, next);
            this.pen = next;
        } else if (key === ' ') {
            this.isDown = !this.isDown;
            if (this.isDown) this.line(this.pen, this.pen);
        } else if (key === 'Delete' || key === 'Backspace') {
            this.wipe();
        } else {
            return false;
        }
        return true;
    }
}
