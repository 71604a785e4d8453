// Elements, made in one call.

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
