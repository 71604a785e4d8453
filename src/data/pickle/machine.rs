//! Runs a pickle, which is a program for a machine with a stack.

use std::collections::HashMap;

use super::value::{Callable, Value, bad};
use crate::data::array::Array;
use crate::data::error::Problem;
use crate::data::npy;

/// More values than a pickle of CIFAR has, by far.
const MOST: usize = 1 << 21;

/// Runs a pickle: its values, and the place of the one that it gives.
pub(super) fn run(bytes: &[u8]) -> Result<(Vec<Value<'_>>, usize), Problem> {
    let mut machine = Machine {
        rest: bytes,
        left: 2 * bytes.len(),
        values: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
    while !machine.step()? {}
    let root = machine.pop()?;
    Ok((machine.values, root))
}

fn short() -> Problem {
    bad("it ends early")
}

/// What reads a pickle, opcode by opcode. Values are kept in one place and named by their numbers, so that one that is named a thousand
/// times is there once.
struct Machine<'a> {
    rest: &'a [u8],
    /// Bytes that arrays and texts made of others may still take: many can be made of the same.
    left: usize,
    values: Vec<Value<'a>>,
    stack: Vec<usize>,
    /// Where the stack stood at each mark.
    marks: Vec<usize>,
    memo: HashMap<u64, usize>,
}

impl<'a> Machine<'a> {
    fn take(&mut self, count: u64) -> Result<&'a [u8], Problem> {
        let count = usize::try_from(count).map_err(|_| short())?;
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(short)?;
        self.rest = rest;
        Ok(taken)
    }

    /// A number of so many bytes.
    fn number(&mut self, bytes: u64) -> Result<u64, Problem> {
        Ok(self.take(bytes)?.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// A line, without its end.
    fn line(&mut self) -> Result<&'a [u8], Problem> {
        let end = self.rest.iter().position(|byte| *byte == b'\n').ok_or_else(short)?;
        let line = self.take(end as u64)?;
        self.take(1)?;
        Ok(line.strip_suffix(b"\r").unwrap_or(line))
    }

    /// A line that is a number.
    fn decimal(&mut self) -> Result<i64, Problem> {
        let text = std::str::from_utf8(self.line()?).ok();
        let number = text.and_then(|text| text.trim_end_matches('L').parse().ok());
        number.ok_or_else(|| bad("a number in it is none, or is too large"))
    }

    fn push(&mut self, value: Value<'a>) {
        self.stack.push(self.values.len());
        self.values.push(value);
    }

    /// Takes room for a copy of bytes.
    fn spend(&mut self, bytes: usize) -> Result<(), Problem> {
        let left = self.left.checked_sub(bytes);
        self.left = left.ok_or_else(|| bad("its arrays come to more than a file of this size can hold"))?;
        Ok(())
    }

    /// A value of so many bytes behind their number.
    fn push_bytes(&mut self, width: u64) -> Result<(), Problem> {
        let count = self.number(width)?;
        let bytes = self.take(count)?;
        self.push(Value::Bytes(bytes));
        Ok(())
    }

    fn pop(&mut self) -> Result<usize, Problem> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err(bad("it takes a value that is not there"));
        }
        self.stack.pop().ok_or_else(short)
    }

    fn top(&self) -> Result<usize, Problem> {
        self.stack.last().copied().ok_or_else(|| bad("it takes a value that is not there"))
    }

    /// All that was put on the stack since the last mark.
    fn since_mark(&mut self) -> Result<Vec<usize>, Problem> {
        let mark = self.marks.pop().ok_or_else(|| bad("it goes back to a mark that is not there"))?;
        Ok(self.stack.split_off(mark))
    }

    fn append(&mut self, items: Vec<usize>) -> Result<(), Problem> {
        let top = self.top()?;
        match &mut self.values[top] {
            Value::List(list) => {
                list.extend(items);
                Ok(())
            }
            _ => Err(bad("it appends to what is no list")),
        }
    }

    fn set(&mut self, items: &[usize]) -> Result<(), Problem> {
        let top = self.top()?;
        let (pairs, rest) = items.as_chunks::<2>();
        match &mut self.values[top] {
            Value::Dictionary(entries) if rest.is_empty() => {
                entries.extend(pairs.iter().map(|[key, value]| (*key, *value)));
                Ok(())
            }
            _ => Err(bad("it sets keys of what is no dictionary")),
        }
    }

    fn remember(&mut self, key: u64) -> Result<(), Problem> {
        let top = self.top()?;
        self.memo.insert(key, top);
        Ok(())
    }

    fn recall(&mut self, key: u64) -> Result<(), Problem> {
        let place = *self.memo.get(&key).ok_or_else(|| bad("it names a value that is not there"))?;
        // Each takes two bytes of the pickle at least.
        self.stack.push(place);
        Ok(())
    }

    /// A tuple of the last values, which is a list here.
    fn tuple(&mut self, count: usize) -> Result<(), Problem> {
        let mut items = (0..count).map(|_| self.pop()).collect::<Result<Vec<_>, _>>()?;
        items.reverse();
        self.push(Value::List(items));
        Ok(())
    }

    /// Runs an opcode; true at the end.
    fn step(&mut self) -> Result<bool, Problem> {
        if [self.values.len(), self.stack.len(), self.marks.len(), self.memo.len()].iter().any(|count| *count > MOST) {
            return Err(bad(format!("it has more than {MOST} values")));
        }
        let opcode = self.number(1)? as u8;
        match opcode {
            // The protocol, and the length of a frame.
            0x80 => drop(self.take(1)?),
            0x95 => drop(self.take(8)?),
            b'.' => return Ok(true),
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.since_mark()?),
            b'2' => self.stack.push(self.top()?),
            b'N' => self.push(Value::Other),
            0x88 => self.push(Value::Integer(1)),
            0x89 => self.push(Value::Integer(0)),
            b'F' => {
                self.line()?;
                self.push(Value::Other);
            }
            b'G' => {
                self.take(8)?;
                self.push(Value::Other);
            }
            b'K' | b'M' => {
                let value = self.number(if opcode == b'K' { 1 } else { 2 })?;
                self.push(Value::Integer(value as i64));
            }
            b'J' => {
                let value = self.number(4)? as u32 as i32;
                self.push(Value::Integer(value.into()));
            }
            b'I' | b'L' => {
                let value = self.decimal()?;
                self.push(Value::Integer(value));
            }
            0x8a => {
                let count = self.number(1)?;
                let bytes = self.take(count)?;
                if bytes.len() > 8 {
                    return Err(bad("a number in it is too large"));
                }
                let sign = if bytes.last().is_some_and(|byte| *byte >= 128) { 255 } else { 0 };
                let mut word = [sign; 8];
                word[..bytes.len()].copy_from_slice(bytes);
                self.push(Value::Integer(i64::from_le_bytes(word)));
            }
            // Texts and bytes with a length of one, four and eight bytes.
            b'U' | b'C' | 0x8c => self.push_bytes(1)?,
            b'T' | b'B' | b'X' => self.push_bytes(4)?,
            0x8d | 0x8e => self.push_bytes(8)?,
            b'S' | b'V' => {
                let line = self.line()?;
                let quote = |line: &'a [u8], mark: &[u8]| line.strip_prefix(mark)?.strip_suffix(mark);
                let text = if opcode == b'V' { Some(line) } else { quote(line, b"'").or_else(|| quote(line, b"\"")) };
                let plain = text.filter(|text| !text.contains(&b'\\'));
                self.push(Value::Bytes(plain.ok_or_else(|| bad("a text in it is written with escapes"))?));
            }
            b']' => self.push(Value::List(Vec::new())),
            b')' => self.tuple(0)?,
            0x85 => self.tuple(1)?,
            0x86 => self.tuple(2)?,
            0x87 => self.tuple(3)?,
            b't' | b'l' => {
                let items = self.since_mark()?;
                self.push(Value::List(items));
            }
            b'}' => self.push(Value::Dictionary(Vec::new())),
            b'd' => {
                let items = self.since_mark()?;
                self.push(Value::Dictionary(Vec::new()));
                self.set(&items)?;
            }
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])?;
            }
            b'e' => {
                let items = self.since_mark()?;
                self.append(items)?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set(&[key, value])?;
            }
            b'u' => {
                let items = self.since_mark()?;
                self.set(&items)?;
            }
            0x94 => self.remember(self.memo.len() as u64)?,
            b'p' | b'q' | b'r' | b'g' | b'h' | b'j' => {
                let key = match opcode {
                    b'p' | b'g' => self.decimal()? as u64,
                    b'q' | b'h' => self.number(1)?,
                    _ => self.number(4)?,
                };
                if matches!(opcode, b'p' | b'q' | b'r') { self.remember(key)? } else { self.recall(key)? }
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.name(module, name)?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let [module, name] = [module, name].map(|place| self.bytes(place).map(<[u8]>::to_vec));
                self.name(&module?, &name?)?;
            }
            b'R' => self.call()?,
            b'b' => self.build()?,
            other => return Err(bad(format!("it has the opcode {other:#04x}, which no pickle of arrays has"))),
        }
        Ok(false)
    }

    fn bytes(&self, place: usize) -> Result<&[u8], Problem> {
        match &self.values[place] {
            Value::Bytes(bytes) => Ok(bytes),
            Value::Owned(bytes) => Ok(bytes),
            _ => Err(bad("it has something else where a text belongs")),
        }
    }

    fn name(&mut self, module: &[u8], name: &[u8]) -> Result<(), Problem> {
        let callable = match (module, name) {
            (b"numpy.core.multiarray" | b"numpy._core.multiarray", b"_reconstruct") => Callable::Reconstruct,
            (b"numpy", b"ndarray") => Callable::Ndarray,
            (b"numpy", b"dtype") => Callable::Dtype,
            (b"_codecs", b"encode") => Callable::Encode,
            _ => {
                let [module, name] = [module, name].map(String::from_utf8_lossy);
                return Err(Problem::PickledObject { name: format!("{module}.{name}") });
            }
        };
        self.push(Value::Name(callable));
        Ok(())
    }

    /// Calls the one below the top with the arguments there.
    fn call(&mut self) -> Result<(), Problem> {
        let (arguments, callable) = (self.pop()?, self.pop()?);
        let wrong = || bad("it calls what makes arrays in an unusual way");
        let (Value::Name(callable), Value::List(arguments)) = (&self.values[callable], &self.values[arguments]) else {
            return Err(wrong());
        };
        let (callable, first) = (*callable, *arguments.first().ok_or_else(wrong)?);
        let made = match callable {
            Callable::Reconstruct => match self.values[first] {
                Value::Name(Callable::Ndarray) => Value::Array(None),
                _ => return Err(wrong()),
            },
            Callable::Dtype => {
                let name = String::from_utf8_lossy(self.bytes(first)?).into_owned();
                let dtype = npy::dtype(&name);
                Value::Type(dtype.ok_or(Problem::UnsupportedType { type_name: name })?, false)
            }
            Callable::Encode => {
                self.spend(self.bytes(first)?.len())?;
                let text = std::str::from_utf8(self.bytes(first)?).map_err(|_| wrong())?;
                let latin = text.chars().map(|letter| u8::try_from(u32::from(letter)));
                Value::Owned(latin.collect::<Result<_, _>>().map_err(|_| wrong())?)
            }
            Callable::Ndarray => return Err(wrong()),
        };
        self.push(made);
        Ok(())
    }

    /// Gives the value below the top the state there: an array's shape, type, order and bytes; a type's order of bytes.
    fn build(&mut self) -> Result<(), Problem> {
        let (state, place) = (self.pop()?, self.top()?);
        let wrong = || bad("it describes an array in an unusual way");
        if let (Value::Array(None), Value::List(state)) = (&self.values[place], &self.values[state])
            && let [_, _, _, _, bytes] = state[..]
        {
            self.spend(self.bytes(bytes)?.len())?;
        }
        let Value::List(state) = &self.values[state] else { return Err(wrong()) };
        let built = match (&self.values[place], &state[..]) {
            (Value::Type(dtype, _), [_, order, ..]) => Value::Type(*dtype, self.bytes(*order)? == b">"),
            (Value::Array(None), [_, shape, dtype, fortran, bytes]) => {
                let (Value::List(shape), Value::Type(dtype, big)) = (&self.values[*shape], &self.values[*dtype]) else {
                    return Err(wrong());
                };
                let length = |place: &usize| match self.values[*place] {
                    Value::Integer(length) => usize::try_from(length).map_err(|_| wrong()),
                    _ => Err(wrong()),
                };
                let shape = shape.iter().map(length).collect::<Result<Vec<_>, _>>()?;
                let bytes = self.bytes(*bytes)?.to_vec();
                let mut array = Array::new(*dtype, shape, bytes).ok_or_else(wrong)?.checked("pickle")?;
                if *big {
                    array.swap_bytes();
                }
                Value::Array(Some(Box::new(if self.is_true(*fortran) { array.into_c_order() } else { array })))
            }
            _ => return Err(wrong()),
        };
        self.values[place] = built;
        Ok(())
    }

    fn is_true(&self, place: usize) -> bool {
        matches!(self.values[place], Value::Integer(value) if value != 0)
    }
}
