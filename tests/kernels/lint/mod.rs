//! Finds misuse of workgroup memory and barriers by walking a shader's compiled form: what a device may not show, since
//! the order in which threads happen to run can hide it.
//!
//! Two rules. Between two accesses to a workgroup array of which one writes, at indices that are not the same thread's
//! own, there is a barrier; of an array of two arrays, `array[0][…]` and `array[1][…]` never meet, nor do `array[x][…]` and
//! `array[1 - x][…]`. And every thread of a workgroup reaches every barrier: none stands in a branch or loop whose condition
//! differs between threads, nor behind a return that only some take. One form is trusted: a statement inside an `if` that
//! reads what other threads hold and writes its own element, as the steps of a tree reduction do.

use naga::{AddressSpace, Binding, Block, BuiltIn, Expression, Function, Handle, Module, Statement};
use std::collections::{BTreeSet, HashMap, HashSet};

/// What a shader does wrong, each once.
pub fn problems(module: &Module) -> BTreeSet<String> {
    let mut walk = Walk { module, pending: Vec::new(), varying: HashSet::new(), problems: BTreeSet::new() };
    for entry in &module.entry_points {
        let argument = |argument: &naga::FunctionArgument| {
            let own = [BuiltIn::LocalInvocationIndex, BuiltIn::LocalInvocationId, BuiltIn::GlobalInvocationId];
            let varies = matches!(argument.binding, Some(Binding::BuiltIn(b)) if own.contains(&b));
            Value { text: argument.name.clone().unwrap_or_default(), varies, own: varies }
        };
        let arguments = entry.function.arguments.iter().map(argument).collect();
        walk.function(&entry.function, arguments, false);
    }
    walk.problems
}

/// What is known of an expression.
#[derive(Debug, Clone, PartialEq)]
struct Value {
    /// A canonical text: the same for the same computation.
    text: String,
    /// Whether it may differ between the threads of a workgroup.
    varies: bool,
    /// Whether it contains the thread's own number.
    own: bool,
}

/// An access to a workgroup array since the last barrier.
#[derive(Debug, Clone, PartialEq)]
struct Access {
    array: String,
    index: Value,
    writes: bool,
    /// Which array, of an array of arrays; `None` for another, or where what says so has changed since.
    part: Option<String>,
    /// The statement, and whether it is inside an `if`.
    statement: usize,
    guarded: bool,
}

impl Access {
    /// Whether the two are to different arrays of an array of two.
    fn is_elsewhere(&self, other: &Access) -> bool {
        let (Some(mine), Some(others)) = (&self.part, &other.part) else { return false };
        let opposite = |part: &str| format!("Subtract(U32(1), {part})");
        let is_constant = |part: &str| ["U32(0)", "U32(1)"].contains(&part);
        let constants = is_constant(mine) && is_constant(others) && mine != others;
        constants || *mine == opposite(others) || *others == opposite(mine)
    }
}

struct Walk<'a> {
    module: &'a Module,
    pending: Vec<Access>,
    /// Private variables that may differ between threads.
    varying: HashSet<Handle<naga::GlobalVariable>>,
    problems: BTreeSet<String>,
}

/// One function on its way.
struct Frame<'a> {
    function: &'a Function,
    arguments: Vec<Value>,
    results: HashMap<Handle<Expression>, Value>,
    varying: HashSet<Handle<naga::LocalVariable>>,
    /// Local variables that start from the thread's own number, such as those of strided loops.
    own: HashSet<Handle<naga::LocalVariable>>,
    result_varies: bool,
    /// Some threads may have returned, or left the innermost loop, while others go on.
    returned: bool,
    left_loop: bool,
    statement: usize,
}

impl<'a> Walk<'a> {
    /// Walks a call; returns whether its result differs between threads.
    fn function(&mut self, function: &'a Function, arguments: Vec<Value>, divergent: bool) -> bool {
        let mut frame = Frame {
            function,
            arguments,
            results: HashMap::new(),
            varying: HashSet::new(),
            own: HashSet::new(),
            result_varies: false,
            returned: false,
            left_loop: false,
            statement: 0,
        };
        self.block(&mut frame, &function.body, divergent, false);
        frame.result_varies
    }

    fn block(&mut self, frame: &mut Frame<'a>, block: &'a Block, outer: bool, guarded: bool) {
        for statement in block {
            let divergent = outer || frame.returned || frame.left_loop;
            match statement {
                Statement::Emit(range) => {
                    for handle in range.clone() {
                        match frame.function.expressions[handle] {
                            Expression::Load { pointer } => self.access(frame, pointer, false, guarded),
                            Expression::CooperativeLoad { ref data, .. } => {
                                self.access(frame, data.pointer, false, guarded);
                            }
                            _ => {}
                        }
                    }
                    continue;
                }
                Statement::Block(inner) => self.block(frame, inner, divergent, guarded),
                Statement::If { condition, accept, reject } => {
                    // One that the shader's constants decide is no branch.
                    match self.value(frame, *condition).text.as_str() {
                        "Bool(true)" => {
                            self.block(frame, accept, divergent, guarded);
                            continue;
                        }
                        "Bool(false)" => {
                            self.block(frame, reject, divergent, guarded);
                            continue;
                        }
                        _ => {}
                    }
                    let divergent = divergent || self.value(frame, *condition).varies;
                    self.branches(frame, &[accept, reject], divergent);
                }
                Statement::Switch { selector, cases } => {
                    let divergent = divergent || self.value(frame, *selector).varies;
                    let left = frame.left_loop;
                    self.branches(frame, &cases.iter().map(|case| &case.body).collect::<Vec<_>>(), divergent);
                    frame.left_loop = left;
                }
                Statement::Loop { body, continuing, .. } => {
                    let left = std::mem::take(&mut frame.left_loop);
                    // Twice: what the first round leaves behind meets the second.
                    for _ in 0..2 {
                        self.block(frame, body, divergent, guarded);
                        self.block(frame, continuing, divergent, guarded);
                    }
                    frame.left_loop = left;
                }
                Statement::Break | Statement::Continue => frame.left_loop |= divergent,
                Statement::Return { value } => {
                    frame.returned |= divergent;
                    frame.result_varies |= divergent || value.is_some_and(|v| self.value(frame, v).varies);
                }
                Statement::ControlBarrier(_) => {
                    if divergent {
                        let name = frame.function.name.as_deref().unwrap_or("main");
                        self.problems.insert(format!("a barrier in {name} that only some threads may reach"));
                    }
                    self.pending.clear();
                }
                Statement::Store { pointer, value } => {
                    self.access(frame, *pointer, true, guarded);
                    let value = self.value(frame, *value);
                    self.assign(frame, *pointer, divergent || value.varies, value.own);
                }
                Statement::CooperativeStore { data, .. } => self.access(frame, data.pointer, true, guarded),
                Statement::Call { function, arguments, result } => {
                    let arguments: Vec<Value> = arguments.iter().map(|a| self.value(frame, *a)).collect();
                    let callee = &self.module.functions[*function];
                    let texts: Vec<&str> = arguments.iter().map(|a| a.text.as_str()).collect();
                    let text = format!("{}({})", callee.name.as_deref().unwrap_or(""), texts.join(", "));
                    let own = arguments.iter().any(|a| a.own);
                    let varies = self.function(callee, arguments, divergent);
                    if let Some(result) = result {
                        frame.results.insert(*result, Value { text, varies, own });
                    }
                }
                other => panic!("the lint does not know {other:?}"),
            }
            frame.statement += 1;
        }
    }

    /// Branches start from the same state; what any of them leaves behind counts.
    fn branches(&mut self, frame: &mut Frame<'a>, branches: &[&'a Block], divergent: bool) {
        let before = self.pending.clone();
        let mut after: Vec<Access> = Vec::new();
        for branch in branches {
            self.pending.clone_from(&before);
            self.block(frame, branch, divergent, true);
            for access in self.pending.drain(..) {
                if !after.contains(&access) {
                    after.push(access);
                }
            }
        }
        self.pending = after;
    }

    fn assign(&mut self, frame: &mut Frame<'a>, pointer: Handle<Expression>, varies: bool, own: bool) {
        match root(frame.function, pointer) {
            Expression::LocalVariable(local) => {
                let local = *local;
                let name = frame.function.local_variables[local].name.as_deref().unwrap_or_default();
                let load = format!("load({name})");
                let mentions = |part: &String| part.contains(&load);
                self.pending.iter_mut().filter(|a| a.part.as_ref().is_some_and(mentions)).for_each(|a| a.part = None);
                if varies {
                    frame.varying.insert(local);
                }
                if own {
                    frame.own.insert(local);
                }
            }
            Expression::GlobalVariable(global) if varies => {
                self.varying.insert(*global);
            }
            _ => {}
        }
    }

    /// Notes an access to a workgroup array and holds it against those since the last barrier.
    fn access(&mut self, frame: &Frame<'a>, pointer: Handle<Expression>, writes: bool, guarded: bool) {
        let Expression::GlobalVariable(global) = root(frame.function, pointer) else { return };
        let variable = &self.module.global_variables[*global];
        if variable.space != AddressSpace::WorkGroup {
            return;
        }
        let array = variable.name.clone().unwrap_or_default();
        let part = match &frame.function.expressions[pointer] {
            Expression::Access { base, .. } => match frame.function.expressions[*base] {
                Expression::Access { index, .. } => Some(self.value(frame, index).text),
                Expression::AccessIndex { index, .. } => Some(format!("U32({index})")),
                _ => None,
            },
            _ => None,
        };
        let index = self.value(frame, pointer);
        let new = Access { array, index, writes, part, statement: frame.statement, guarded };
        for old in self.pending.iter().filter(|old| old.array == new.array && (old.writes || new.writes)) {
            let same_threads_own = old.index == new.index && new.index.own;
            let one_guarded_statement = old.statement == new.statement && guarded && old.guarded && new.writes;
            if !same_threads_own && !one_guarded_statement && !old.is_elsewhere(&new) {
                let how = |access: &Access| if access.writes { "write" } else { "read" };
                let (first, second) = (how(old), how(&new));
                let problem = format!(
                    "{} is {first} at {} and {second} at {} with no barrier between",
                    new.array, old.index.text, new.index.text
                );
                self.problems.insert(problem);
            }
        }
        if !self.pending.contains(&new) {
            self.pending.push(new);
        }
    }

    fn value(&self, frame: &Frame<'a>, handle: Handle<Expression>) -> Value {
        let constant = |text: String| Value { text, varies: false, own: false };
        let expression = &frame.function.expressions[handle];
        match expression {
            Expression::FunctionArgument(index) => frame.arguments[*index as usize].clone(),
            Expression::CallResult(_) => frame.results[&handle].clone(),
            Expression::Literal(literal) => constant(format!("{literal:?}")),
            Expression::Constant(constant_handle) => constant(format!("constant {}", constant_handle.index())),
            Expression::ZeroValue(_) => constant("zero".into()),
            Expression::ArrayLength(pointer) => constant(format!("length of {}", self.value(frame, *pointer).text)),
            Expression::GlobalVariable(global) => {
                let variable = &self.module.global_variables[*global];
                let shared = match variable.space {
                    AddressSpace::WorkGroup => true,
                    AddressSpace::Storage { access } => access.contains(naga::StorageAccess::STORE),
                    AddressSpace::Private => self.varying.contains(global),
                    _ => false,
                };
                Value { text: variable.name.clone().unwrap_or_default(), varies: shared, own: false }
            }
            Expression::LocalVariable(local) => {
                let name = frame.function.local_variables[*local].name.clone().unwrap_or_default();
                Value { text: name, varies: frame.varying.contains(local), own: frame.own.contains(local) }
            }
            other => {
                let parts: Vec<Value> = children(other).into_iter().map(|child| self.value(frame, child)).collect();
                let texts: Vec<&str> = parts.iter().map(|part| part.text.as_str()).collect();
                let text = format!("{}({})", operation(other), texts.join(", "));
                Value { text, varies: parts.iter().any(|p| p.varies), own: parts.iter().any(|p| p.own) }
            }
        }
    }
}

/// The variable that a pointer leads to.
fn root(function: &Function, pointer: Handle<Expression>) -> &Expression {
    match &function.expressions[pointer] {
        Expression::Access { base, .. } | Expression::AccessIndex { base, .. } => root(function, *base),
        other => other,
    }
}

fn operation(expression: &Expression) -> String {
    match expression {
        Expression::Binary { op, .. } => format!("{op:?}"),
        Expression::Unary { op, .. } => format!("{op:?}"),
        Expression::Math { fun, .. } => format!("{fun:?}"),
        Expression::AccessIndex { index, .. } => format!("[{index}]"),
        Expression::As { kind, .. } => format!("{kind:?}"),
        Expression::Load { .. } => "load".into(),
        Expression::Access { .. } => "at".into(),
        other => format!("{other:?}").split([' ', '{', '(']).next().unwrap_or_default().into(),
    }
}

fn children(expression: &Expression) -> Vec<Handle<Expression>> {
    match expression {
        Expression::Compose { components, .. } => components.clone(),
        Expression::Access { base, index } => vec![*base, *index],
        Expression::AccessIndex { base, .. } => vec![*base],
        Expression::Splat { value, .. } => vec![*value],
        Expression::Swizzle { vector, .. } => vec![*vector],
        Expression::Load { pointer } => vec![*pointer],
        Expression::CooperativeLoad { data, .. } => vec![data.pointer, data.stride],
        Expression::CooperativeMultiplyAdd { a, b, c } => vec![*a, *b, *c],
        Expression::Unary { expr, .. } | Expression::As { expr, .. } => vec![*expr],
        Expression::Binary { left, right, .. } => vec![*left, *right],
        Expression::Select { condition, accept, reject } => vec![*condition, *accept, *reject],
        Expression::Relational { argument, .. } => vec![*argument],
        Expression::Math { arg, arg1, arg2, arg3, .. } => {
            [Some(*arg), *arg1, *arg2, *arg3].into_iter().flatten().collect()
        }
        other => panic!("the lint does not know {other:?}"),
    }
}
