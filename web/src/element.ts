// Elements, made in one call, and errors in words.

type Children = (Node | string)[];

/// An element with attributes; a function is a listener, false leaves out.
export function element<K extends keyof HTMLElementTagNameMap>(
    name: K, attributes: Record<string, string | number | boolean | ((event: any) => void)> = {}, ...children: Children
): HTMLElementTagNameMap[K] {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
        if (typeof value === 'function') made.addEventListener(key, value);
        else if (value === true) made.setAttribute(key, '');
        else if (value !== false) made.setAttribute(key, String(value));
    }
    made.append(...children);
    return made;
}

/// The page's own element of this name.
export function byId(id: string): HTMLElement {
    const found = document.getElementById(id);
    if (!found) throw new Error(`the page has no ${id}`);
    return found;
}

/// What an error says.
export function wordsOf(error: unknown): string {
    return error instanceof Error ? error.message : String(error);
}

/// Draws bytes, channel after channel, on a canvas of their size.
export function paint(canvas: HTMLCanvasElement, bytes: Uint8Array | Uint8ClampedArray): void {
    const { width, height } = canvas;
    const size = width * height;
    const image = new ImageData(width, height);
    for (let at = 0; at < size; at++) {
        for (let colour = 0; colour < 3; colour++) image.data[at * 4 + colour] = bytes[colour * size < bytes.length ? colour * size + at : at];
        image.data[at * 4 + 3] = 255;
    }
    canvas.getContext('2d')!.putImageData(image, 0, 0);
}
